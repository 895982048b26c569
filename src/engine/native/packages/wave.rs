//! Makes the layers of a wave: downloads, unpacks and configures, all at once where one does not wait for the other.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError, mpsc};
use std::thread;

use super::complete::complete;
use super::{Installer, Pending, below};
use crate::debian::{self, Limits, Ownership, Unpacked, Unpacking};
use crate::domain::{Error, Event, Outcome, Result};
use crate::engine::layer_path;
use crate::engine::native::sandbox::Identity;
use crate::store::{Record, remove_tree};

impl Installer<'_> {
    /// Makes layers that do not stand on each other; other waves may be at work at the same time.
    pub(super) fn make(&self, number: usize, pending: &[Pending<'_>]) -> Result<()> {
        let made = self.download(number, pending);
        if made.is_err() {
            self.layers.give_up();
        }
        made
    }

    fn download(&self, number: usize, pending: &[Pending<'_>]) -> Result<()> {
        let workshop = self.workshop;
        let suite = &pending[0].layer.suite;
        let opened = self.resolver.apt(suite)?;
        // Nobody else may use the folder; its name stays the same, so that what was downloaded is found again.
        let archives = self.resolver.folder(suite).join("archives").join(number.to_string());
        let ownership = if workshop.identity == Identity::Root { Ownership::Apply } else { Ownership::Ignore };
        let mut roots = Vec::new();
        for layer in pending {
            let lower: Vec<PathBuf> = below(layer)?.iter().map(|key| layer_path(&workshop.store, key)).collect();
            roots.push(Unpacking::new(&layer.scratch.path().join("layer"), lower, ownership, Limits::default())?);
        }
        let layers: Vec<debian::Layer<'_>> = pending
            .iter()
            .zip(&roots)
            .map(|(layer, unpacking)| debian::Layer { packages: &layer.packages, unpacking })
            .collect();
        let (sender, receiver) = mpsc::channel::<(usize, Vec<Unpacked>)>();
        let sender = Mutex::new(sender);
        let roots = &roots;
        thread::scope(|scope| {
            let completing = scope.spawn(move || {
                receiver
                    .iter()
                    .try_for_each(|(index, unpacked)| self.complete(&pending[index], &roots[index], &unpacked))
            });
            let mut progress = |done, total| {
                workshop.stop.check()?;
                for step in pending.iter().flat_map(|layer| &layer.steps) {
                    let step = step.id.to_string();
                    let total = Some(total);
                    workshop.events.emit(Event::Progress { step, what: "downloading", done, total });
                }
                Ok(())
            };
            let on_layer = |index: usize, unpacked: Vec<Unpacked>| {
                let sender = sender.lock().unwrap_or_else(PoisonError::into_inner);
                sender.send((index, unpacked)).map_err(|_| Error::interrupted())
            };
            let installed = debian::install(&opened.apt, &layers, &archives, workshop.jobs, &mut progress, &on_layer);
            drop(sender);
            let completed = completing.join().unwrap_or_else(|_| Err(Error::bug("configuring packages panicked")));
            completed.and(installed)
        })?;
        // Their contents are in the layers now.
        remove_tree(&archives)
    }

    /// Finishes a layer whose packages are unpacked, once the one below is there, and tells of it.
    fn complete(&self, layer: &Pending<'_>, unpacking: &Unpacking, unpacked: &[Unpacked]) -> Result<()> {
        if let Some(below) = below(layer)? {
            self.layers.wait(&below)?;
        }
        let record = complete(self.workshop, layer, unpacking, unpacked)?;
        self.layers.done(layer.assessment.key);
        for step in &layer.steps {
            let record = Record { step: step.id.to_string(), ..record.clone() };
            self.board.done(self.workshop, &step.id, record, Outcome::Built, layer.started.elapsed());
        }
        Ok(())
    }
}
