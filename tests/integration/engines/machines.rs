//! Builders on other machines, reached over a network, of which some die.

use std::time::{Duration, Instant};

use super::sample::{bare, left, nothing_stays, printed, stir};
use crate::support::{Machine, Reached, Run, Test, host, processes_with, unique, wait_until};

/// Three machines, with contexts for them in a folder: a and c by TLS, b by ssh.
struct Farm {
    machines: [Machine; 3],
    config: tempfile::TempDir,
}

impl Farm {
    fn start() -> Option<Farm> {
        let starting = [(); 3].map(|()| std::thread::spawn(Machine::start));
        let machines: Vec<Machine> =
            starting.into_iter().filter_map(|machine| machine.join().expect("it starts")).collect();
        let machines: [Machine; 3] = machines.try_into().ok()?;
        let farm = Farm { machines, config: tempfile::tempdir().expect("a folder") };
        farm.contexts(["a", "b", "c"]);
        Machine::ssh_client(farm.config.path(), &[&farm.machines[1]]);
        Some(farm)
    }

    fn contexts(&self, names: [&str; 3]) {
        let reached = [Reached::ByTls, Reached::BySsh, Reached::ByTls];
        for ((machine, name), reached) in self.machines.iter().zip(names).zip(reached) {
            machine.context(self.config.path(), name, reached);
        }
    }

    /// A run that knows the contexts.
    fn known<'a>(&self, run: Run<'a>) -> Run<'a> {
        let path = std::env::var("PATH").expect("there are programs");
        let path = format!("{}:{path}", self.config.path().display());
        run.env("DOCKER_CONFIG", self.config.path()).env("PATH", path)
    }
}

/// Containers that a machine has started so far.
fn started(machine: &Machine) -> usize {
    let filters = ["--filter", "type=container", "--filter", "event=start"];
    let events = ["events", "--since", "24h", "--until", "0s"].into_iter().chain(filters);
    machine.must(events).lines().count()
}

/// Two programs for s390x and for this machine's own architecture, each of which takes some time.
fn project(seconds: &str) -> Test {
    let program = |name: &str| {
        format!(
            "  {name}:\n    outputs: {{ {name}: {name} }}\n    command: |\n      sleep {seconds}; {{ echo '#!/bin/sh'; \
             sha256sum /etc/debian_version /var/lib/dpkg/info/bash.list letter; }} > {name}\n"
        )
    };
    let programs = program("one") + &program("two");
    bare(&format!("arches: [{}, s390x]\nbinaries:\n{programs}", host())).file("letter", "hello\n")
}

#[test]
fn machines_share_the_work_and_make_what_one_makes() {
    let Some(farm) = Farm::start() else { return };
    let [a, b, c] = &farm.machines;
    let test = project("2");
    test.xbuild(["binaries", "--engine", "native"]).run();
    let native = test.read("SHA256SUMS");
    assert_eq!(native.lines().count(), 4, "{native}");
    stir(&test);
    let here = format!("linux/{}=c", host());
    farm.known(test.xbuild(["binaries", "--builders", &format!("linux/s390x=a,linux/s390x=b,{here}")])).run();
    assert_eq!(test.read("SHA256SUMS"), native);
    for machine in [a, b, c] {
        assert!(started(machine) > 0, "a machine without work");
        assert_eq!(left(machine), [""; 0]);
    }
    // Contexts that are called so need no option, and what is built needs no machine.
    let before = [a, b, c].map(started);
    b.context(farm.config.path(), "xbuild-linux-s390x", Reached::BySsh);
    stir(&test);
    farm.known(test.xbuild(["binaries", "--arch", "s390x"])).run();
    assert_eq!(test.read("SHA256SUMS"), native);
    let after = [a, b, c].map(started);
    assert!(after[1] > before[1] && (after[0], after[2]) == (before[0], before[2]), "{before:?} {after:?}");
    farm.known(test.xbuild(["binaries", "--arch", "s390x"])).run();
    assert_eq!([a, b, c].map(started), after);
    // Machines that build for several targets are the same machines for all of them.
    stir(&test);
    let before = [a, c].map(started);
    let both = format!("linux/s390x=a,linux/s390x=c,linux/{0}=a,linux/{0}=c", host());
    farm.known(test.xbuild(["binaries", "one", "--builders", &both])).run();
    let after = [a, c].map(started);
    assert!(after[0] > before[0] && after[1] > before[1], "one machine has all the work: {before:?} {after:?}");
    let after = [a, b, c].map(started);
    // An engine that was asked for is the one.
    stir(&test);
    farm.known(test.xbuild(["binaries", "--arch", "s390x", "--engine", "native"])).run();
    assert_eq!([a, b, c].map(started), after);
    let run = test.xbuild(["binaries", "--builders", "linux/s390x=nowhere"]).status(2);
    farm.known(run).stderr_contains("the builder for s390x").stderr_contains("nowhere").run();
}

/// The machine in which a container runs.
fn busy<'a>(machines: &[&'a Machine]) -> &'a Machine {
    let busy: Vec<&Machine> =
        machines.iter().copied().filter(|machine| !machine.must(["ps", "--quiet"]).is_empty()).collect();
    assert_eq!(busy.len(), 1, "one program runs on one machine");
    busy[0]
}

#[test]
fn the_work_of_a_machine_that_dies_goes_to_another() {
    let Some(farm) = Farm::start() else { return };
    let mark = format!("3.{}", unique());
    let test = bare(&printed(&format!("sleep {mark}; cat letter"))).file("letter", "hello\n");
    let mut alive: Vec<&Machine> = farm.machines.iter().collect();
    let endpoints = |machines: &[&Machine]| -> String {
        let names = ["a", "b", "c"].into_iter().zip(&farm.machines);
        let names = names.filter(|(_, machine)| machines.iter().any(|other| std::ptr::eq(*other, *machine)));
        names.map(|(name, _)| format!("s390x={name}")).collect::<Vec<_>>().join(",")
    };
    for death in [Machine::kill, Machine::unplug] {
        stir(&test);
        let run = farm.known(test.xbuild(["binaries", "--builders", &endpoints(&alive)]));
        let mut child = run.start();
        wait_until("the command", || !processes_with(&mark).is_empty());
        let victim = busy(&alive);
        let died = Instant::now();
        death(victim);
        let status = child.wait().expect("it ends");
        assert!(status.success(), "{status}\n{}", test.said());
        assert!(died.elapsed() < Duration::from_secs(60), "it was noticed after {:?}", died.elapsed());
        let said = test.said();
        assert!(said.contains("is gone, and its work goes to another one"), "{said}");
        assert_eq!(test.read("s390x/hello"), "#!/bin/sh\nhello\n");
        alive.retain(|machine| !std::ptr::eq(*machine, victim));
        for machine in &alive {
            nothing_stays(*machine);
        }
    }
    // With the last one, nobody is there any more.
    stir(&test);
    let mut child = farm.known(test.xbuild(["binaries", "--builders", &endpoints(&alive)])).start();
    wait_until("the command", || !processes_with(&mark).is_empty());
    alive[0].kill();
    assert_eq!(child.wait().expect("it ends").code(), Some(3), "{}", test.said());
    assert!(test.said().contains("none of the builders answers any more"), "{}", test.said());
}
