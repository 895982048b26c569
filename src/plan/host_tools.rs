//! Tools of the machine itself, which stand for a builder where there is none.

use std::collections::{BTreeMap, BTreeSet};

use super::builders::Builders;
use super::planner::Planner;
use super::step::StepId;
use crate::config::{Binary, Origin};
use crate::domain::{Arch, Error, Name, Result};

/// What a machine has of a toolchain.
#[derive(Debug, Clone, Default)]
pub struct HostTools {
    /// The tools of each target, by the variable that names them, as in `CC`.
    pub targets: BTreeMap<Arch, BTreeMap<String, FoundTool>>,
    /// Programs that all targets share, by name, as in `go`.
    pub programs: BTreeMap<String, FoundTool>,
}

/// A tool, or why there is none.
pub type FoundTool = std::result::Result<HostTool, String>;

/// A tool of the machine's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostTool {
    /// What commands call it: the toolchain's name, as in `s390x-linux-gnu-gcc`.
    pub name: String,
    /// What it is here: a path, and arguments that come before all others.
    pub command: Vec<String>,
    /// Tells it from any other, and from itself after an upgrade.
    pub identity: String,
}

/// What no library and no command does without.
const BUILD_TOOLS: [&str; 5] = ["CC", "AR", "LD", "NM", "RANLIB"];

/// Tools that a step cannot do without.
#[derive(Debug, Clone, Default)]
pub(super) struct ToolNeeds {
    /// Whom it builds for; without one, none of a target's tools count.
    target: Option<Arch>,
    /// Variables of the target's tools. Those that it may do without count as well, where they are there.
    variables: Vec<String>,
    /// Programs.
    programs: Vec<String>,
}

/// Tools that nobody found, by the target that needs them.
pub(super) type MissingTools = BTreeMap<Option<Arch>, BTreeSet<String>>;

impl ToolNeeds {
    /// What a library's recipe takes.
    pub(super) fn of_library(target: Arch, programs: &[String]) -> ToolNeeds {
        let variables = BUILD_TOOLS.map(str::to_owned).to_vec();
        ToolNeeds { target: Some(target), variables, programs: programs.to_vec() }
    }

    /// What any builder of a target has.
    pub(super) fn of_builder(target: Arch) -> ToolNeeds {
        ToolNeeds { target: Some(target), variables: vec!["CC".into()], programs: Vec::new() }
    }
}

impl Planner<'_> {
    /// What a program takes, beside its libraries: Go alone needs no compiler of C, and of the tools a command needs those
    /// that it names.
    pub(super) fn tools_of_program(&self, binary: &Binary, target: Arch, env: &BTreeMap<String, String>) -> ToolNeeds {
        let programs = self.programs(&binary.components);
        let without_c = env.get("CGO_ENABLED").is_some_and(|value| value == "0");
        let variables = match &binary.origin {
            Origin::Go(_) if without_c => return ToolNeeds { target: None, variables: Vec::new(), programs },
            Origin::Command { .. } if without_c => Vec::new(),
            Origin::Go(_) => vec!["CC".to_owned()],
            Origin::Command { command, .. } => {
                let named = |name: &&String| {
                    [format!("${name}"), format!("${{{name}}}")].iter().any(|word| command.contains(word))
                };
                let named = self.project.toolchain.tools.keys().filter(named).cloned();
                named.chain(BUILD_TOOLS.map(str::to_owned)).collect()
            }
        };
        ToolNeeds { target: Some(target), variables, programs }
    }

    /// What a command takes that knows no target.
    pub(super) fn tools_of_components(&self, components: &[Name]) -> ToolNeeds {
        ToolNeeds { programs: self.programs(components), ..ToolNeeds::default() }
    }

    fn programs(&self, components: &[Name]) -> Vec<String> {
        let all = components.iter().filter_map(|name| self.project.toolchain.components.get(name));
        all.flat_map(|component| component.programs.iter().cloned()).collect()
    }

    /// Makes a step depend on the machine's tools, where there are no builders.
    pub(super) fn stand_on(&mut self, step: &StepId, needs: &ToolNeeds) {
        let inputs = self.take_tools(needs);
        if let Some(step) = self.plan.steps.iter_mut().find(|other| other.id == *step) {
            step.inputs.extend(inputs);
        }
    }

    /// Inputs that stand for tools; what is missing is kept for [`Planner::all_tools_found`].
    pub(super) fn take_tools(&mut self, needs: &ToolNeeds) -> BTreeMap<String, String> {
        let Builders::Host(tools) = &self.facts.builders else { return BTreeMap::new() };
        let nothing = BTreeMap::new();
        let mut inputs = BTreeMap::new();
        let own = needs.target.map_or(&nothing, |target| tools.targets.get(&target).unwrap_or(&nothing));
        let mut missing = |target, name: &str, found: Option<&FoundTool>| {
            let why = match found {
                Some(Err(why)) => why.clone(),
                _ => format!("no {name}"),
            };
            self.missing.entry(target).or_default().insert(why);
        };
        for (variable, tool) in own {
            match tool {
                Ok(tool) => _ = inputs.insert(format!("the machine's {variable}"), tool.identity.clone()),
                Err(_) if needs.variables.contains(variable) => missing(needs.target, variable, Some(tool)),
                Err(_) => {}
            }
        }
        for name in &needs.programs {
            match tools.programs.get(name) {
                Some(Ok(tool)) => _ = inputs.insert(format!("the machine's {name}"), tool.identity.clone()),
                found => missing(None, name, found),
            }
        }
        inputs
    }

    /// An environment error that names every missing tool of the plan.
    pub(super) fn all_tools_found(&self) -> Result<()> {
        if self.missing.is_empty() {
            return Ok(());
        }
        let (toolchain, host) = (&self.project.toolchain, self.facts.host);
        let mut sentences = Vec::new();
        let mut hints = Vec::new();
        for (target, tools) in &self.missing {
            let list = tools.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
            let (whom, packages) = match target {
                Some(target) => (target.to_string(), toolchain.target_packages(host, *target)?),
                None => ("all targets".into(), tools.iter().map(|tool| self.package(tool)).collect()),
            };
            sentences.push(format!("{list} for {whom}"));
            let packages: BTreeSet<String> = packages.into_iter().collect();
            let packages = packages.into_iter().collect::<Vec<_>>().join(" ");
            hints.push(format!("{whom}: Debian's and Ubuntu's packages are {packages}"));
        }
        let error = Error::environment(format!("this machine has {}", sentences.join("; ")));
        let error = hints.into_iter().fold(error, Error::hint);
        Err(match self.missing.keys().flatten().next() {
            Some(arch) => {
                error.hint(format!("another compiler is named by CC_{arch}, or CC_{}, and so on", arch.triple()))
            }
            None => error,
        })
    }

    /// The package that brings a missing program, by the toolchain's names; else the program's own name.
    fn package(&self, missing: &str) -> String {
        let toolchain = &self.project.toolchain;
        let program = missing.strip_prefix("no ").unwrap_or(missing);
        let mut components = toolchain.components.values();
        let component = components.find(|component| component.programs.iter().any(|name| name == program));
        match component.map(|component| component.packages.join(" ")) {
            Some(packages) if !packages.is_empty() => packages,
            _ if program == "pkg-config" => "pkgconf".into(),
            _ => program.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Project, ProjectOptions};
    use crate::domain::{Digest, ErrorKind};
    use crate::plan::{Facts, Goal, Plan, Work, plan};

    const PROJECT: &str = "version: 1\nname: p\narches: [amd64, s390x]\nbinaries:\n  pure: { go: { package: ., cgo: false } }\n  \
                           cgo: { go: { package: . }, libs: [libpcap] }\n  c: { command: '$CXX x.cc', outputs: { c: c } }\n";

    fn tool(name: &str) -> FoundTool {
        Ok(HostTool { name: name.into(), command: vec![format!("/bin/{name}")], identity: format!("/bin/{name} 1") })
    }

    fn planned(tools: HostTools, goal: &Goal) -> Result<Plan> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("xbuild.yaml"), PROJECT).unwrap();
        let options = ProjectOptions { folder: folder.path().to_owned(), ..ProjectOptions::default() };
        let tree = Some(Digest::of("tree"));
        let facts = Facts { tree, ..Facts::new(Arch::Amd64, Builders::Host(tools)) };
        plan(&Project::load(&options)?, &facts, goal)
    }

    fn tools() -> HostTools {
        let mut tools = HostTools::default();
        for arch in [Arch::Amd64, Arch::S390x] {
            let of_target = ["CC", "CXX", "AR", "LD", "NM", "RANLIB"];
            let of_target = of_target.map(|name| (name.to_owned(), tool(&format!("{arch}-{name}"))));
            tools.targets.insert(arch, of_target.into());
        }
        tools.programs = ["go", "make", "flex", "bison"].map(|name| (name.to_owned(), tool(name))).into();
        tools
    }

    #[test]
    fn a_plan_for_the_machine_itself_has_no_builders() {
        let plan = planned(tools(), &Goal::Tests(Vec::new())).unwrap();
        let ids: Vec<&str> = plan.steps.iter().map(|step| step.id.as_str()).collect();
        let expected = ["binary/c", "library/libpcap@1.10.5", "binary/cgo", "binary/pure"];
        let expected: Vec<String> =
            ["amd64", "s390x"].iter().flat_map(|arch| expected.map(|id| format!("{id}/{arch}"))).collect();
        assert_eq!(ids, expected);
        for step in &plan.steps {
            let root = match &step.work {
                Work::Program(program) => &program.root,
                Work::Library(library) => &library.root,
                _ => panic!("{}", step.id),
            };
            assert!(root.is_empty());
            assert_eq!(step.inputs.contains_key("the machine's CC"), !step.id.as_str().starts_with("binary/pure"));
        }
    }

    #[test]
    fn another_compiler_is_another_input() {
        let inputs =
            |tools| planned(tools, &Goal::Binaries(vec!["c".parse().unwrap()])).unwrap().steps[0].inputs.clone();
        let mut other = tools();
        if let Some(Ok(tool)) = other.targets.get_mut(&Arch::Amd64).and_then(|tools| tools.get_mut("CC")) {
            tool.identity = "/bin/cc 2".into();
        }
        let (one, two) = (inputs(tools()), inputs(other));
        let differing: Vec<&String> = one.keys().filter(|name| one[*name] != two[*name]).collect();
        assert_eq!(differing, ["the machine's CC"]);
    }

    #[test]
    fn one_error_names_all_that_is_missing() {
        let mut lacking = tools();
        let none = |name: &str| Err(format!("no {name}"));
        let of_s390x = lacking.targets.get_mut(&Arch::S390x).unwrap();
        of_s390x.insert("CC".into(), none("s390x-linux-gnu-gcc"));
        of_s390x.insert("CXX".into(), none("s390x-linux-gnu-g++"));
        lacking.programs.insert("go".into(), none("go"));
        lacking.programs.insert("flex".into(), none("flex"));
        let error = planned(lacking.clone(), &Goal::Binaries(Vec::new())).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Environment);
        assert_eq!(
            error.to_string(),
            "this machine has no flex, no go for all targets; no s390x-linux-gnu-g++, no s390x-linux-gnu-gcc for s390x"
        );
        assert_eq!(
            error.hints(),
            [
                "all targets: Debian's and Ubuntu's packages are flex golang-1.24-go",
                "s390x: Debian's and Ubuntu's packages are g++-s390x-linux-gnu gcc-s390x-linux-gnu libc6-dev-s390x-cross",
                "another compiler is named by CC_s390x, or CC_s390x-linux-gnu, and so on",
            ]
        );
        // Go without C needs Go alone, and what nobody asks for is not missed.
        let error = planned(lacking, &Goal::Binaries(vec!["pure".parse().unwrap()])).unwrap_err();
        assert_eq!(error.to_string(), "this machine has no go for all targets");
    }
}
