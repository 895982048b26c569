//! Where the paths of a builder lead on the machine itself.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::engine::native::sandbox::Command;
use crate::plan::{CACHE, OUTPUT, PATH, SOURCE};

/// Folders that stand for those of a builder.
#[derive(Debug, Clone)]
pub(super) struct Places {
    /// For `/src`.
    pub(super) source: PathBuf,
    /// For `/out`.
    pub(super) output: PathBuf,
    /// For `/var/cache/xbuild`.
    pub(super) cache: PathBuf,
    /// For `/usr/<triple>`, with the libraries that commands may link.
    pub(super) prefix: PathBuf,
    /// For `/root`.
    pub(super) home: PathBuf,
    /// For `/tmp`.
    pub(super) temporary: PathBuf,
    /// The machine's tools by the toolchain's names.
    pub(super) tools: PathBuf,
}

/// Variables that tell where libraries are. The compiler's own folder is no business of theirs, so others keep its name.
const OF_LIBRARIES: [&str; 2] = ["LD_LIBRARY_PATH", "PKG_CONFIG_LIBDIR"];

impl Places {
    /// A builder's command as one of this machine's; `path` is the user's own `PATH`.
    pub(super) fn command(&self, command: &Command, path: &str) -> Command {
        let folders = [(SOURCE, &self.source), (OUTPUT, &self.output), (CACHE, &self.cache)];
        let folders: Vec<(&str, &Path)> = folders.map(|(inside, outside)| (inside, outside.as_path())).to_vec();
        let prefix = command.env.get("XBUILD_PREFIX").cloned();
        let mut env = BTreeMap::new();
        for (name, value) in &command.env {
            let mut folders = folders.clone();
            // Whoever installs something says where it will be in the end.
            let installs = name == "XBUILD_PREFIX" && command.env.contains_key("DESTDIR");
            if let Some(prefix) = &prefix
                && (OF_LIBRARIES.contains(&name.as_str()) || name == "XBUILD_PREFIX")
                && !installs
            {
                folders.push((prefix, &self.prefix));
            }
            env.insert(name.clone(), translate(value, &folders));
        }
        let own = env.get("PATH").map(|text| text.strip_suffix(PATH).unwrap_or(text)).unwrap_or_default();
        env.insert("PATH".into(), format!("{}:{own}{path}", self.tools.display()));
        env.insert("HOME".into(), self.home.display().to_string());
        env.insert("TMPDIR".into(), self.temporary.display().to_string());
        // A worktree's notes are the project's own, and not to be refreshed for the sake of a copy.
        env.insert("GIT_OPTIONAL_LOCKS".into(), "0".into());
        let argument = |text: &String| place(text, &folders).unwrap_or_else(|| text.clone());
        let cwd = command.cwd.to_string_lossy();
        Command {
            argv: command.argv.iter().map(argument).collect(),
            env,
            cwd: place(&cwd, &folders).map_or_else(|| command.cwd.clone(), PathBuf::from),
            user: None,
            limits: command.limits,
        }
    }

    /// Flags that have a compiler call each folder as it is called in a builder, so that none gets into what it makes.
    pub(super) fn names(&self, prefix: Option<&str>) -> Vec<String> {
        let folders = [
            (Some("/tmp"), &self.temporary),
            (Some(CACHE), &self.cache),
            (prefix, &self.prefix),
            (Some(OUTPUT), &self.output),
            (Some(SOURCE), &self.source),
        ];
        let flag = |(inside, outside): (Option<&str>, &PathBuf)| {
            Some(format!("-ffile-prefix-map={}={}", outside.display(), inside?))
        };
        folders.into_iter().filter_map(flag).collect()
    }
}

/// Replaces folders where a word of a text, or what follows a flag such as `-I` in one, is a path in them.
fn translate(text: &str, folders: &[(&str, &Path)]) -> String {
    text.split_inclusive([':', ' ', '=', ',', '\n', '\t', '"', '\'']).map(|piece| word(piece, folders)).collect()
}

/// The same for one word, with the character that ends it.
fn word(piece: &str, folders: &[(&str, &Path)]) -> String {
    let text = piece.trim_end_matches([':', ' ', '=', ',', '\n', '\t', '"', '\'']);
    let end = &piece[text.len()..];
    let is_flag = text.starts_with('-') && text.as_bytes().get(1).is_some_and(u8::is_ascii_alphabetic);
    let (flag, path) = if is_flag { text.split_at(2) } else { ("", text) };
    match place(path, folders) {
        Some(place) => format!("{flag}{place}{end}"),
        None => piece.to_owned(),
    }
}

/// Where a path leads that is in one of the folders.
fn place(path: &str, folders: &[(&str, &Path)]) -> Option<String> {
    folders.iter().find_map(|(inside, outside)| {
        let rest = path.strip_prefix(inside)?;
        (rest.is_empty() || rest.starts_with('/')).then(|| format!("{}{rest}", outside.display()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::native::sandbox::Limits;

    fn places() -> Places {
        let folder = |name: &str| PathBuf::from("/s").join(name);
        Places {
            source: folder("source"),
            output: folder("out"),
            cache: folder("cache"),
            prefix: folder("prefix"),
            home: folder("home"),
            temporary: folder("tmp"),
            tools: folder("tools"),
        }
    }

    fn command(argv: &[&str], env: &[(&str, &str)], cwd: &str) -> Command {
        let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let argv = argv.iter().map(|word| (*word).to_owned()).collect();
        Command { argv, env, cwd: cwd.into(), user: None, limits: Limits::default() }
    }

    #[test]
    fn paths_of_a_builder_lead_to_folders_of_the_machine() {
        let path = format!("/out:/usr/lib/go/bin:{PATH}");
        let env = [
            ("PATH", path.as_str()),
            ("HOME", "/root"),
            ("GOCACHE", "/var/cache/xbuild/go-build"),
            ("CFLAGS", "-O2 -I/src/include -DX=\"/src\""),
            ("OTHER", "/srcs:/usr/src:http://x/src"),
            ("XBUILD_PREFIX", "/usr/s390x-linux-gnu"),
            ("PKG_CONFIG_LIBDIR", "/usr/s390x-linux-gnu/lib/pkgconfig:/usr/s390x-linux-gnu/share/pkgconfig"),
            ("PKG_CONFIG_SYSTEM_LIBRARY_PATH", "/usr/s390x-linux-gnu/lib"),
        ];
        let there = places().command(&command(&["go", "build", "-o", "/out/x", "-X a=/src"], &env, "/src/cmd"), "/bin");
        assert_eq!(there.argv, ["go", "build", "-o", "/s/out/x", "-X a=/src"]);
        assert_eq!(there.cwd, Path::new("/s/source/cmd"));
        for (name, value) in [
            ("PATH", "/s/tools:/s/out:/usr/lib/go/bin:/bin"),
            ("HOME", "/s/home"),
            ("TMPDIR", "/s/tmp"),
            ("GOCACHE", "/s/cache/go-build"),
            ("CFLAGS", "-O2 -I/s/source/include -DX=\"/s/source\""),
            ("OTHER", "/srcs:/usr/src:http://x/src"),
            ("XBUILD_PREFIX", "/s/prefix"),
            ("PKG_CONFIG_LIBDIR", "/s/prefix/lib/pkgconfig:/s/prefix/share/pkgconfig"),
            ("PKG_CONFIG_SYSTEM_LIBRARY_PATH", "/usr/s390x-linux-gnu/lib"),
        ] {
            assert_eq!(there.env.get(name).map(String::as_str), Some(value), "{name}");
        }
    }

    #[test]
    fn what_is_installed_knows_its_final_place() {
        let env = [("DESTDIR", "/out"), ("XBUILD_PREFIX", "/usr/s390x-linux-gnu")];
        let there = places().command(&command(&["make"], &env, "/src"), "/bin");
        assert_eq!(there.env["DESTDIR"], "/s/out");
        assert_eq!(there.env["XBUILD_PREFIX"], "/usr/s390x-linux-gnu");
    }
}
