use std::process::Command;

use super::*;
use crate::store::Store;

/// A project in a folder, and where its digest is kept.
struct Project {
    temporary: tempfile::TempDir,
    folder: PathBuf,
}

impl Project {
    /// One in `folder` below a folder of its own.
    fn new(folder: &str) -> Project {
        let temporary = tempfile::tempdir().unwrap();
        let folder = temporary.path().canonicalize().unwrap().join(folder);
        fs::create_dir_all(&folder).unwrap();
        Project { temporary, folder }
    }

    fn hash(&self) -> Digest {
        let store = Store::open(&self.temporary.path().join("store")).unwrap();
        let digests = FileDigests::load(&store, &self.folder);
        hash_tree(&ProjectGit::new(&self.folder), &digests).unwrap().digest
    }

    /// Whether a file, which is written, counts.
    fn counts(&self, name: &str) -> bool {
        let path = self.folder.join(name);
        let before = fs::read(&path).ok();
        write(&path, "one");
        let one = self.hash();
        write(&path, "two");
        let counts = self.hash() != one;
        match before {
            Some(before) => fs::write(path, before).unwrap(),
            None => fs::remove_file(path).unwrap(),
        }
        counts
    }
}

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn git(folder: &Path, arguments: &[&str]) {
    let mut command = Command::new("git");
    command.args(["-c", "user.name=Test", "-c", "user.email=test@example.org", "-c", "protocol.file.allow=always"]);
    let output = command.arg("-C").arg(folder).args(arguments).env("GIT_CONFIG_GLOBAL", "/dev/null").output().unwrap();
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn what_git_ignores_does_not_count_and_all_else_does() {
    let project = Project::new("project");
    let folder = &project.folder;
    write(&folder.join(".gitignore"), "*.o\n");
    write(&folder.join("odd \n 'name/a.c"), "int a;");
    let before = project.hash();
    write(&folder.join("a.o"), "object");
    write(&folder.join("dist/a"), "output");
    assert_eq!(project.hash(), before);
    fs::set_permissions(folder.join("odd \n 'name/a.c"), fs::Permissions::from_mode(0o755)).unwrap();
    let program = project.hash();
    assert_ne!(program, before);
    fs::rename(folder.join("odd \n 'name/a.c"), folder.join("b.c")).unwrap();
    assert_ne!(project.hash(), program);
}

#[test]
fn what_git_tracks_counts_even_if_it_would_ignore_it() {
    for (kind, below) in [("sha1", ""), ("sha256", ""), ("sha1", "deep/er")] {
        let project = Project::new(&format!("repository/{below}"));
        let (folder, root) = (&project.folder, project.temporary.path().join("repository"));
        git(&root, &["init", "-q", &format!("--object-format={kind}")]);
        write(&root.join(".gitignore"), "*.a\nvendor/\n");
        for name in ["vendor/lib.a", "own.a", "odd \n name.a", "gone.a", "folder.a", "dist/own.a"] {
            write(&folder.join(name), "library");
        }
        git(&root, &["add", "-A", "-f"]);
        git(&root, &["commit", "-q", "-m", "one"]);
        for name in ["vendor/lib.a", "own.a", "odd \n name.a", "new.c"] {
            assert!(project.counts(name), "{name} {kind} {below}");
        }
        for name in ["other.a", "vendor/other", "dist/own.a"] {
            assert!(!project.counts(name), "{name} {kind} {below}");
        }
        let before = project.hash();
        fs::remove_file(folder.join("gone.a")).unwrap();
        assert_ne!(project.hash(), before, "{kind} {below}");
        fs::remove_file(folder.join("folder.a")).unwrap();
        fs::remove_dir_all(folder.join("vendor")).unwrap();
        write(&folder.join("folder.a/other"), "ignored");
        write(&folder.join("vendor"), "a file now");
        project.hash();
        // A second work tree of the repository, whose `.git` is a file.
        git(&root, &["worktree", "add", "-q", "../second"]);
        let second = project.temporary.path().canonicalize().unwrap().join("second").join(below);
        let second = Project { temporary: tempfile::tempdir().unwrap(), folder: second };
        assert!(second.counts("own.a") && !second.counts("other.a"), "{kind} {below}");
    }
}

#[test]
fn submodules_count_by_their_own_rules() {
    let project = Project::new("repository");
    let folder = &project.folder;
    let library = project.temporary.path().join("library");
    write(&library.join(".gitignore"), "*.o\n");
    write(&library.join("a.x"), "tracked");
    write(&library.join("forced.o"), "tracked");
    git(&library, &["init", "-q"]);
    git(&library, &["add", "-A", "-f"]);
    git(&library, &["commit", "-q", "-m", "one"]);
    git(folder, &["init", "-q"]);
    write(&folder.join(".gitignore"), "*.x\nhidden/\n");
    for place in ["seen", "hidden/there", "absent"] {
        git(folder, &["submodule", "--quiet", "add", "-f", "../library", place]);
    }
    git(folder, &["commit", "-q", "-m", "one"]);
    git(folder, &["submodule", "--quiet", "deinit", "-f", "absent"]);
    for place in ["seen", "hidden/there"] {
        for (name, counts) in [("a.x", true), ("forced.o", true), ("new.c", true), ("new.x", true), ("new.o", false)] {
            assert_eq!(project.counts(&format!("{place}/{name}")), counts, "{place}/{name}");
        }
    }
    assert!(!project.counts("hidden/other"));
}

#[test]
fn what_is_above_the_repository_hides_nothing() {
    let project = Project::new("home/repository");
    let (folder, home) = (&project.folder, project.temporary.path().join("home"));
    write(&home.join(".gitignore"), "*\n!.*\n");
    // Where nothing is a repository, nothing above counts; nor does one that knows nothing of the project.
    assert!(project.counts("a.c"));
    git(&home, &["init", "-q"]);
    git(&home, &["add", ".gitignore"]);
    assert!(project.counts("a.c"));
    git(folder, &["init", "-q"]);
    assert!(project.counts("a.c"));
    write(&folder.join("b.c"), "int b;");
    git(folder, &["add", "b.c"]);
    assert!(project.counts("a.c"));
    fs::create_dir(folder.join("part")).unwrap();
    let part = Project { folder: folder.join("part"), temporary: tempfile::tempdir().unwrap() };
    assert!(part.counts("a.c"));
}
