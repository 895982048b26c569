//! Runs sessions on the machine itself.

use std::path::Path;
use std::sync::mpsc;

use super::emulation::can_run;
use super::keeper::Task;
use super::process;
use super::workplace::{Workplace, make_folder_of};
use crate::domain::{DockerAccess, Error, Result, Stream};
use crate::engine::Workshop;
use crate::engine::docker_socket::docker_socket;
use crate::engine::native::sandbox::{Exit, Notice, Stdio, Waiting};
use crate::engine::session::{Ending, Engine, Interaction, OutputFolder, Session, Tell};
use crate::plan::{HostTools, SSH_AGENT};

/// The machine itself, with the tools that were found on it.
pub(crate) struct Host {
    pub(crate) tools: HostTools,
}

/// What a command's thread tells.
enum News {
    Output(usize, Stream, Vec<u8>),
    Ended(usize, Result<Exit>),
}

impl Engine for Host {
    fn run(&self, workshop: &Workshop, session: &Session<'_>, tell: &mut Tell<'_>) -> Result<Ending> {
        if let (OutputFolder::Programs(_), Some(target)) = (&session.output, session.target) {
            can_run(target)?;
        }
        let workplace = Workplace::open(workshop, session, &self.tools)?;
        let tasks = tasks(workshop, session, &workplace, Stdio::Together)?;
        session.start()?;
        std::thread::scope(|scope| {
            let (sender, receiver) = mpsc::channel();
            let mut waiting = tasks.iter().enumerate();
            let (mut running, mut failure) = (0, None);
            loop {
                while running < session.parallel.max(1)
                    && failure.is_none()
                    && let Some((index, task)) = waiting.next()
                {
                    tell(index, Notice::Started, &workplace)?;
                    running += 1;
                    let sender = sender.clone();
                    scope.spawn(move || {
                        // Nobody is gone as long as this runs.
                        let pass_on =
                            |stream, bytes: &[u8]| _ = sender.send(News::Output(index, stream, bytes.to_vec()));
                        let exit = process::run(task, &workshop.stop, &pass_on);
                        let _ = sender.send(News::Ended(index, exit));
                    });
                }
                if running == 0 {
                    return failure.map_or(Ok(()), Err);
                }
                let told = match receiver.recv() {
                    Ok(News::Output(index, stream, bytes)) => tell(index, Notice::Output(stream, &bytes), &workplace),
                    Ok(News::Ended(index, exit)) => {
                        running -= 1;
                        exit.and_then(|exit| tell(index, Notice::Exited(exit), &workplace))
                    }
                    Err(_) => return Err(Error::bug("commands are lost")),
                };
                if let Err(error) = told {
                    failure.get_or_insert(error);
                }
            }
        })?;
        workplace.close(workshop, session)?;
        Ok(Ending::default())
    }

    fn interact(&self, workshop: &Workshop, session: &Session<'_>, _: Option<Waiting>) -> Result<Interaction> {
        let workplace = Workplace::open(workshop, session, &self.tools)?;
        let tasks = tasks(workshop, session, &workplace, Stdio::Inherited)?;
        let task = tasks.first().ok_or_else(|| Error::bug("a session without a command"))?;
        let exit = process::run(task, &workshop.stop, &|_, _| {})?;
        Ok(Interaction { exit, ending: Ending::default() })
    }
}

/// The commands of a session as the machine can run them.
fn tasks(workshop: &Workshop, session: &Session<'_>, workplace: &Workplace, stdio: Stdio) -> Result<Vec<Task>> {
    let path = std::env::var_os("PATH").unwrap_or_default().to_string_lossy().into_owned();
    let mut sockets = Vec::new();
    if session.docker == Some(DockerAccess::Host) {
        let address = |socket: &Path| format!("unix://{}", socket.display());
        sockets.push((address(Path::new(DockerAccess::SOCKET)), address(&docker_socket()?)));
    }
    sockets.extend(session.agent.iter().map(|agent| (SSH_AGENT.to_owned(), agent.display().to_string())));
    let task = |command| {
        let mut command = workplace.places.command(command, &path);
        for value in command.env.values_mut() {
            if let Some((_, here)) = sockets.iter().find(|(inside, _)| inside == value) {
                value.clone_from(here);
            }
        }
        make_folder_of(&command.cwd)?;
        Ok(Task { command, processors: workshop.jobs, stdio })
    };
    session.commands.iter().map(task).collect()
}
