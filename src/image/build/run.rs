//! RUN: its key, and the layer that comes of it.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::Steps;
use super::container::cwd;
use super::rehearsal::network;
use super::request::{Note, RunRequest};
use super::run_mounts::{PreparedMount, stubs};
use super::scan::Scan;
use super::settings::PROGRAMS;
use super::stack::StackLayer;
use super::stage::StageBuild;
use super::users;
use crate::domain::{Digest, Mount, Result, ResultExt};
use crate::image::{Run, Script, Step, layer};
use crate::store::Bucket;

/// Goes up when a step with the same key would do something else.
const FORMAT: u32 = 3;

/// Everything that decides what a command does.
#[derive(Serialize)]
struct Key<'a> {
    format: u32,
    layers: Vec<Digest>,
    argv: &'a [String],
    program: Option<&'a str>,
    env: &'a BTreeMap<String, String>,
    user: &'a str,
    cwd: &'a str,
    network: bool,
    platform: &'static str,
    mounts: &'a [String],
}

/// What a command came to.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StepRecord {
    /// The layer, which one that changed nothing has too, as with Docker.
    layer: Digest,
    /// Of the step's key and the layer: a record that was changed is none.
    seal: Digest,
}

impl StepRecord {
    fn new(key: &Digest, layer: Digest) -> StepRecord {
        StepRecord { layer, seal: Digest::of_json(&(key, layer)) }
    }

    /// Whether it is the record of this step, as it was written.
    pub(super) fn is_of(&self, key: &Digest) -> bool {
        self.seal == Digest::of_json(&(key, self.layer))
    }
}

/// A command, and all that its key needs.
struct Prepared {
    argv: Vec<String>,
    /// The name and the text of a here-document that is a program.
    program: Option<(String, String)>,
    env: BTreeMap<String, String>,
    cwd: String,
    network: bool,
    mounts: Vec<PreparedMount>,
    key: Digest,
}

impl StageBuild<'_> {
    /// Everything that decides what a command does. Nothing runs, and nothing is made.
    fn prepare(&self, run: &Run) -> Result<Prepared> {
        let network = network(run, &self.settings)?;
        let argv = self.settings.command(run);
        let program = match run.script() {
            Script::Program { name, text } => Some((name, text)),
            _ => None,
        };
        let env: BTreeMap<String, String> =
            self.settings.scope.variables().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let mounts = self.prepare_mounts(run)?;
        let cwd = cwd(&self.settings.runtime);
        let key = Digest::of_json(&Key {
            format: FORMAT,
            layers: self.stack.identities(),
            argv: &argv,
            program: program.as_ref().map(|(_, text)| text.as_str()),
            env: &env,
            user: &self.settings.runtime.user,
            cwd: &cwd,
            network,
            platform: self.arch.platform(),
            mounts: &mounts.iter().map(PreparedMount::key).collect::<Vec<_>>(),
        });
        Ok(Prepared { argv, program, env, cwd, network, mounts, key })
    }

    /// The key of a command, and what it did before.
    pub(super) fn look_up(&self, run: &Run) -> Result<(Digest, Option<StepRecord>)> {
        let key = self.prepare(run)?.key;
        Ok((key, self.remembered(&key)))
    }

    /// Runs a command, or takes what it did before.
    pub(super) fn run(&mut self, step: &Step, run: &Run) -> Result<()> {
        let Prepared { argv, program, env, cwd, network, mounts, key } = self.prepare(run)?;
        let name = format!("{}:{}", self.request.name, step.span.line);
        if let Some(record) = self.remembered(&key) {
            (self.services.tell)(Note::Remembered(name));
            self.add(record);
            return Ok(());
        }
        let store = self.request.folders.store();
        let _lock = store.lock(&key)?;
        // Somebody else may have done it while we waited.
        if let Some(record) = self.remembered(&key) {
            (self.services.tell)(Note::Remembered(name));
            self.add(record);
            return Ok(());
        }
        let scratch = store.scratch()?;
        let mut mounts = self.mounts(mounts, &scratch)?;
        if let Some((name, text)) = program {
            mounts.mounts.push(Mount::File {
                target: Path::new(PROGRAMS).join(name),
                bytes: text.into_bytes(),
                mode: 0o755,
                owner: (0, 0),
            });
        }
        let view = self.stack.view(self.request.folders)?;
        let login = users::login(&view, &self.settings.runtime.user).map_err(|error| step.span.place(error))?;
        let mut whole = env;
        for (name, value) in self.settings.scope.proxies() {
            whole.entry(name).or_insert(value);
        }
        whole.extend(mounts.env);
        whole.entry("HOME".into()).or_insert_with(|| login.home.clone());
        let started = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs() as i64);
        let stubs = stubs(&view, &mounts.mounts);
        let upper = scratch.folder("root")?;
        (self.services.run)(&RunRequest {
            step: name,
            text: step.text.clone(),
            stage: self.name(),
            arch: self.arch,
            layers: self.stack.folders(self.request.folders)?,
            upper: upper.clone(),
            scratch: scratch.folder("overlay")?,
            argv,
            env: whole,
            cwd,
            owner: (login.owner.uid, login.owner.gid),
            groups: login.groups,
            mounts: mounts.mounts,
            network,
        })
        .map_err(|error| step.span.place(error))?;
        drop((mounts.locks, mounts.agents));
        let scan = Scan {
            upper: &upper,
            below: &view,
            started,
            stubs: &stubs,
            ownership: self.request.folders.ownership(),
            mtime: self.request.target.mtime,
        };
        let entries = scan.entries().context(|| "cannot keep what the command did".into())?;
        let layer = layer::identity(&entries);
        self.request.folders.keep(&layer, &scratch, &entries)?;
        let record = StepRecord::new(&key, layer);
        store.save_json(Bucket::ImageSteps, &key, &record)?;
        self.ran = true;
        self.add(record);
        Ok(())
    }

    /// What a command with this key did, if that is all still there.
    fn remembered(&self, key: &Digest) -> Option<StepRecord> {
        if self.request.steps == Steps::Anew {
            return None;
        }
        let record: StepRecord = self.request.folders.store().read_json(Bucket::ImageSteps, key)?;
        (record.is_of(key) && self.request.folders.find(&record.layer).is_some()).then_some(record)
    }

    /// Takes what a command did.
    pub(super) fn add(&mut self, record: StepRecord) {
        self.stack.push(StackLayer::kept(record.layer));
    }
}
