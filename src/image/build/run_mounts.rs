//! The mounts of RUN: what stands for them in its key, and what there is to mount.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::agent::AgentSocket;
use super::copy::{Copier, CopyRequest, Writer, plain};
use super::files::Files;
use super::stack::StackLayer;
use super::stage::StageBuild;
use super::view::View;
use crate::domain::{Digest, Error, Mount, Result, ResultExt};
use crate::image::{Run, RunMount, Sharing, Span};
use crate::store::{Bucket, KeyLock, Scratch, mark_used, remove_tree};

/// Docker's place for the socket of an agent.
const AGENTS: &str = "/run/buildkit";

/// What the sandbox itself mounts something on.
const SANDBOX: [&str; 7] = ["/proc", "/sys", "/dev", "/tmp", "/etc/resolv.conf", "/etc/hosts", "/run/secrets"];

/// The name of the mounted file or folder in its layer.
const TREE: &str = "tree";

/// A mount of a command before there is anything to mount.
pub(super) struct PreparedMount {
    span: Span,
    mount: RunMount,
    /// What a bind mount shows, and whether that is a folder.
    tree: Option<(StackLayer, bool)>,
}

/// The mounts of a command, and what is to live as long as they do.
#[derive(Default)]
pub(super) struct Mounts {
    pub(super) mounts: Vec<Mount>,
    pub(super) env: BTreeMap<String, String>,
    pub(super) locks: Vec<KeyLock>,
    pub(super) agents: Vec<AgentSocket>,
    /// How many agents were asked for, those included that are not there.
    asked: usize,
}

impl PreparedMount {
    /// What stands for the mount in the key.
    pub(super) fn key(&self) -> String {
        match &self.mount {
            RunMount::Bind { target, writable, .. } => {
                let tree = self.tree.as_ref().map(|(layer, _)| layer.identity().to_string());
                format!("bind {} {writable} {target}", tree.unwrap_or_default())
            }
            RunMount::Cache { id, target, read_only, .. } => format!("cache {id} {target} {read_only}"),
            RunMount::Tmpfs { target, size } => format!("tmpfs {target} {size:?}"),
            RunMount::Secret { id, target, env, mode, uid, gid, .. } => {
                format!("secret {id} {target:?} {env:?} {mode:o} {uid} {gid}")
            }
            RunMount::Ssh { id, target, mode, uid, gid, .. } => format!("ssh {id} {target:?} {mode:o} {uid} {gid}"),
        }
    }
}

impl StageBuild<'_> {
    /// The mounts that a command asks for. Nothing is made.
    pub(super) fn prepare_mounts(&self, run: &Run) -> Result<Vec<PreparedMount>> {
        let mounts = run.mounts.iter().map(|flag| {
            let mount = flag.resolve(&|word| self.settings.scope.expand(word))?;
            let tree = match &mount {
                RunMount::Bind { from, source, .. } => {
                    Some(self.tree(from.as_deref(), source).map_err(|error| flag.span.place(error))?)
                }
                _ => None,
            };
            Ok(PreparedMount { span: flag.span, mount, tree })
        });
        mounts.collect()
    }

    /// What there is to mount, made where it has to be; `scratch` must outlive it.
    pub(super) fn mounts(&self, prepared: Vec<PreparedMount>, scratch: &Scratch) -> Result<Mounts> {
        let mut mounts = Mounts::default();
        for (index, PreparedMount { span, mount, tree }) in prepared.into_iter().enumerate() {
            let folder = scratch.folder(&format!("mount{index}"))?;
            self.mount(mount, tree, &folder, &mut mounts).map_err(|error| span.place(error))?;
        }
        Ok(mounts)
    }

    fn mount(&self, mount: RunMount, tree: Option<(StackLayer, bool)>, scratch: &Path, out: &mut Mounts) -> Result<()> {
        let inside = |target: &str| {
            Path::new("/").join(plain(&Path::new("/").join(&self.settings.runtime.working_dir).join(target)))
        };
        match mount {
            RunMount::Bind { target, writable, .. } => {
                let (layer, is_folder) = tree.ok_or_else(|| Error::bug("a bind mount of nothing"))?;
                let source = layer.folder(self.request.folders)?.join(TREE);
                let target = inside(&target);
                out.mounts.push(match (writable, is_folder) {
                    (false, _) => Mount::Bind { source, target, read_only: true },
                    (true, true) => {
                        let (upper, work) = (scratch.join("upper"), scratch.join("work"));
                        for folder in [&upper, &work] {
                            fs::create_dir(folder).or_environment(|| format!("cannot make {}", folder.display()))?;
                        }
                        Mount::Overlay { lowers: vec![source], upper, work, target }
                    }
                    (true, false) => {
                        let copy = scratch.join("file");
                        fs::copy(&source, &copy).or_environment(|| format!("cannot copy {}", source.display()))?;
                        Mount::Bind { source: copy, target, read_only: false }
                    }
                });
            }
            RunMount::Cache { id, target, sharing, from, source, mode, uid, gid, read_only } => {
                let (place, lock) = self.cache(&id, sharing)?;
                out.locks.extend(lock);
                if !place.is_dir() {
                    // Whatever has taken its place is no cache.
                    remove_tree(&place)?;
                    let made = scratch.join("cache");
                    fs::create_dir(&made).or_environment(|| format!("cannot make {}", made.display()))?;
                    if let Some(from) = from {
                        let (layer, _) = self.tree(Some(&from), &source)?;
                        let tree = layer.folder(self.request.folders)?.join(TREE);
                        copy_folder(&tree, &made)?;
                    }
                    // Where there is one id only, it is the one that everybody has.
                    let _ = std::os::unix::fs::chown(&made, Some(uid), Some(gid));
                    fs::set_permissions(&made, fs::Permissions::from_mode(mode))
                        .or_environment(|| format!("cannot change {}", made.display()))?;
                    self.request.folders.store().keep(&made, &place)?;
                }
                mark_used(&place);
                out.mounts.push(Mount::Bind { source: place, target: inside(&target), read_only });
            }
            RunMount::Tmpfs { target, size } => {
                out.mounts.push(Mount::Memory { target: inside(&target), size });
            }
            RunMount::Secret { id, target, env, required, mode, uid, gid } => match (self.services.secret)(&id)? {
                None if required => {
                    return Err(Error::usage(format!("there is no secret '{id}'"))
                        .hint(format!("give it as --secret id={id},src=FILE or --secret id={id},env=VARIABLE")));
                }
                None => {}
                Some(bytes) => {
                    let target = match (&target, &env) {
                        (Some(target), _) => Some(target.clone()),
                        (None, Some(_)) => None,
                        (None, None) => Some(format!("/run/secrets/{id}")),
                    };
                    if let Some(name) = env {
                        let text = String::from_utf8(bytes.clone());
                        let text = text.map_err(|_| Error::usage(format!("the secret '{id}' is no text")))?;
                        out.env.insert(name, text);
                    }
                    if let Some(target) = target {
                        let target = inside(&target);
                        out.mounts.push(Mount::File { target, bytes, mode, owner: (uid, gid) });
                    }
                }
            },
            RunMount::Ssh { id, target, required, mode, uid, gid } => {
                let place = format!("{AGENTS}/ssh_agent.{}", out.asked);
                let target = inside(target.as_deref().unwrap_or(&place));
                out.asked += 1;
                // As with Docker, also where there is none.
                out.env.entry("SSH_AUTH_SOCK".into()).or_insert_with(|| target.display().to_string());
                match (self.services.agent)(&id)? {
                    None if required => {
                        return Err(Error::usage(format!("there is no SSH agent '{id}'"))
                            .hint(format!("start one, and give it as --ssh {id}")));
                    }
                    None => {}
                    Some(agent) => {
                        let socket = AgentSocket::open(agent, scratch, mode, (uid, gid))?;
                        let source = socket.path().to_owned();
                        out.agents.push(socket);
                        out.mounts.push(Mount::Bind { source, target, read_only: false });
                    }
                }
            }
        }
        Ok(())
    }

    /// The folder of a cache, and the right to use it where only one may.
    fn cache(&self, id: &str, sharing: Sharing) -> Result<(PathBuf, Option<KeyLock>)> {
        let store = self.request.folders.store();
        let key = |number: u32| Digest::of_json(&("cache", id, number));
        let place = |number| store.place(Bucket::ImageCaches, &key(number));
        match sharing {
            Sharing::Shared => Ok((place(0), None)),
            Sharing::Locked => Ok((place(0), Some(store.lock(&key(0))?))),
            Sharing::Private => {
                for number in 0.. {
                    if let Some(lock) = store.try_lock(&key(number))? {
                        return Ok((place(number), Some(lock)));
                    }
                }
                Err(Error::bug("there is no end of numbers"))
            }
        }
    }

    /// Files of the context, a stage or an image, as a layer with all of it at [`TREE`]; whether that is a folder.
    fn tree(&self, from: Option<&str>, source: &str) -> Result<(StackLayer, bool)> {
        let tree = self.source(from)?;
        let files: &dyn Files = match &tree {
            Some(view) => &**view,
            None => self.request.context,
        };
        let request =
            CopyRequest { destination: format!("/{TREE}"), owner: None, mode: None, parents: false, excludes: None };
        let mut view = View::default();
        let mut writer = Writer::new(&mut view);
        let mut copier = Copier { request: &request, writer: &mut writer };
        let name = plain(Path::new(source));
        let found = copier.find(files, &name, source)?;
        copier.copy(files, &name, &found, None)?;
        Ok((StackLayer::of_entries(writer.finish()), found.is_folder()))
    }
}

/// What must be there for something to be mounted on it, and is not in the image.
pub(super) fn stubs(view: &View, mounts: &[Mount]) -> BTreeSet<PathBuf> {
    let mut stubs = BTreeSet::new();
    let targets = mounts.iter().map(Mount::target).chain(SANDBOX.iter().map(Path::new));
    for target in targets {
        let Some(path) = view.follow(&plain(target)) else { continue };
        for above in path.ancestors().filter(|path| !path.as_os_str().is_empty()) {
            if view.get(above).is_none() {
                stubs.insert(above.to_owned());
            }
        }
    }
    stubs
}

/// Copies what a cache begins with.
fn copy_folder(from: &Path, into: &Path) -> Result<()> {
    let failed = || format!("cannot copy {}", from.display());
    for entry in fs::read_dir(from).or_environment(failed)? {
        let entry = entry.or_environment(failed)?;
        let target = into.join(entry.file_name());
        let kind = entry.file_type().or_environment(failed)?;
        if kind.is_dir() {
            fs::create_dir(&target).or_environment(failed)?;
            copy_folder(&entry.path(), &target)?;
        } else if kind.is_symlink() {
            let link = fs::read_link(entry.path()).or_environment(failed)?;
            std::os::unix::fs::symlink(link, &target).or_environment(failed)?;
        } else if kind.is_file() {
            fs::copy(entry.path(), &target).or_environment(failed)?;
        }
    }
    Ok(())
}
