//! Which stages a target needs, and what each of them starts from and copies from.

use std::collections::{BTreeMap, BTreeSet};

use super::{Dockerfile, Instruction, ParseError, Span, Step, Word};

/// What FROM, COPY `--from` and RUN `--mount=from` name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// Nothing.
    Scratch,
    /// A stage of the file, by its place in [`Dockerfile::stages`].
    Stage(usize),
    /// An image, by the name that was written.
    Image(String),
}

/// A stage that a target needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedStage {
    /// Its place in [`Dockerfile::stages`].
    pub index: usize,
    /// What it starts from.
    pub base: Source,
    /// `--platform` of its FROM, expanded.
    pub platform: Option<String>,
    /// What COPY and RUN take files from, with the place of the first word that says so; no source twice.
    pub uses: Vec<(Span, Source)>,
}

/// The stages that a target needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Graph {
    /// In the order of the file, so that each comes after those it needs; the last one is the target.
    pub stages: Vec<PlannedStage>,
}

/// What the instructions of base images add to a graph: ONBUILD triggers, by the stage that starts from the image.
pub type Triggers = BTreeMap<usize, Vec<Step>>;

impl Dockerfile {
    /// The stages that a target needs: the last one, or the one with a name or number.
    /// `expand` puts the variables of the FROM lines in, see [`super::Scope::of_file`].
    ///
    /// Base images may bring ONBUILD triggers that copy from further stages. Which they bring shows only when the images
    /// are there: whoever finds new ones asks for the graph again, until none are new.
    ///
    /// # Errors
    /// A target that does not exist, a stage that is named before it is there, a name given twice; with the place.
    pub fn graph(
        &self,
        target: Option<&str>,
        triggers: &Triggers,
        expand: &dyn Fn(&Word) -> Result<String, ParseError>,
    ) -> Result<Graph, ParseError> {
        let mut names: BTreeMap<&str, usize> = BTreeMap::new();
        let mut planned = Vec::new();
        for (index, stage) in self.stages.iter().enumerate() {
            let from = &stage.from;
            let platform = from.platform.as_ref().map(|word| worth(word, expand, "--platform")).transpose()?;
            let image = worth(&from.image, expand, "the base image")?;
            let base = match names.get(image.to_ascii_lowercase().as_str()) {
                Some(stage) => Source::Stage(*stage),
                None if image == "scratch" => Source::Scratch,
                None => Source::Image(image),
            };
            planned.push(PlannedStage { index, base, platform, uses: Vec::new() });
            if let Some(name) = &from.name
                && let Some(first) = names.insert(name, index)
            {
                let error = from.span.error(format!("a second stage is named '{name}'"));
                return Err(error.hint(format!("the first one is in line {}", self.stages[first].from.span.line)));
            }
        }

        let target = self.target(target)?;
        let mut needed = BTreeSet::new();
        let mut open = vec![target];
        while let Some(index) = open.pop() {
            if !needed.insert(index) {
                continue;
            }
            let uses = self.uses(index, &planned[index].base, triggers)?;
            let sources = uses.iter().map(|(_, source)| source).chain([&planned[index].base]);
            open.extend(
                sources.filter_map(|source| if let Source::Stage(stage) = source { Some(*stage) } else { None }),
            );
            planned[index].uses = uses;
        }
        planned.retain(|stage| needed.contains(&stage.index));
        Ok(Graph { stages: planned })
    }

    /// The stage of a `--target`.
    fn target(&self, target: Option<&str>) -> Result<usize, ParseError> {
        let last = self.stages.len().saturating_sub(1);
        let Some(name) = target else { return Ok(last) };
        if let Some(index) = self.stage_named(name) {
            return Ok(index);
        }
        if let Some(index) = name.parse().ok().filter(|index| *index <= last) {
            return Ok(index);
        }
        let span = self.stages.first().map_or(Span { line: 1, column: 1 }, |stage| stage.from.span);
        let error = span.error(format!("there is no stage '{name}' to build"));
        let names: Vec<&str> = self.stages.iter().filter_map(|stage| stage.from.name.as_deref()).collect();
        Err(match names.as_slice() {
            [] => error.hint("no stage has a name: add 'AS name' to a FROM"),
            names => error.hint(format!("there are {}", names.join(", "))),
        })
    }

    fn stage_named(&self, name: &str) -> Option<usize> {
        let name = name.to_ascii_lowercase();
        self.stages.iter().position(|stage| stage.from.name.as_ref() == Some(&name))
    }

    /// What the instructions of a stage take files from, those of ONBUILD included.
    fn uses(&self, index: usize, base: &Source, triggers: &Triggers) -> Result<Vec<(Span, Source)>, ParseError> {
        let inherited = if let Source::Stage(parent) = base { self.stages[*parent].steps.as_slice() } else { &[] };
        let inherited = inherited.iter().filter_map(|step| match &step.instruction {
            Instruction::OnBuild(trigger) => Some(&*trigger.instruction),
            _ => None,
        });
        let own = triggers.get(&index).into_iter().flatten().chain(&self.stages[index].steps);
        let mut uses: Vec<(Span, Source)> = Vec::new();
        for word in inherited.chain(own.map(|step| &step.instruction)).flat_map(Instruction::sources) {
            let source = self.source(index, word)?;
            if !uses.iter().any(|(_, known)| *known == source) {
                uses.push((word.span, source));
            }
        }
        Ok(uses)
    }

    /// What `--from` in a stage names: an earlier stage by name or number, else an image.
    /// A stage hides an image of the same name, wherever it stands.
    ///
    /// # Errors
    /// The stage itself, a later one, or a number that no stage has.
    pub fn source(&self, stage: usize, from: &Word) -> Result<Source, ParseError> {
        let number = from.text.parse::<usize>().ok();
        match self.stage_named(&from.text).or(number) {
            None if from.text == "scratch" => Ok(Source::Scratch),
            None => Ok(Source::Image(from.text.clone())),
            Some(found) if found < stage => Ok(Source::Stage(found)),
            Some(found) => {
                let error = |message: &str| from.span.error(format!("'{}' {message}", from.text));
                Err(match self.stages.get(found) {
                    None => error("is no stage").hint(format!("stages are numbered 0 to {}", self.stages.len() - 1)),
                    Some(_) if found == stage => {
                        error("is the stage itself").hint("COPY without --from takes the context")
                    }
                    Some(later) => error("is a later stage")
                        .hint(format!("move it, from line {}, before this one", later.from.span.line)),
                })
            }
        }
    }
}

/// What a word of FROM is worth, which must be something.
fn worth(word: &Word, expand: &dyn Fn(&Word) -> Result<String, ParseError>, what: &str) -> Result<String, ParseError> {
    let value = expand(word)?;
    if value.is_empty() {
        let error = word.span.error(format!("{what} '{}' is worth nothing", word.text));
        return Err(error.hint("give the argument a default: ARG NAME=value before the first FROM"));
    }
    Ok(value)
}

impl Instruction {
    /// Its words that name stages or images to take files from; those of an ONBUILD are not its own.
    pub fn sources(&self) -> Vec<&Word> {
        match self {
            Instruction::Copy(copy) => copy.from.iter().collect(),
            Instruction::Run(run) => run.mounts.iter().filter_map(|mount| mount.from()).collect(),
            _ => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(text: &str, target: Option<&str>, triggers: &Triggers) -> Result<Graph, ParseError> {
        let expand = |word: &Word| Ok(word.text.replace("$V", "base"));
        Dockerfile::parse(text).unwrap().graph(target, triggers, &expand)
    }

    fn told(text: &str, target: Option<&str>) -> Vec<String> {
        let source = |source: &Source| match source {
            Source::Scratch => "scratch".to_owned(),
            Source::Stage(index) => index.to_string(),
            Source::Image(name) => name.clone(),
        };
        let stages = graph(text, target, &Triggers::new()).unwrap().stages;
        let stage = |stage: PlannedStage| {
            let uses: Vec<String> = stage.uses.iter().map(|(_, used)| source(used)).collect();
            format!("{}<{} {}", stage.index, source(&stage.base), uses.join(" ")).trim().to_owned()
        };
        stages.into_iter().map(stage).collect()
    }

    const STAGES: &str = "FROM debian AS Base\nRUN make\nFROM base AS test\nFROM scratch AS empty\nFROM alpine AS debian\n\
        FROM empty\nCOPY --from=BASE /a /\nCOPY --from=0 /a /\nCOPY --from=debian /a /\nCOPY --from=img:1 /b /\n\
        RUN --mount=type=bind,from=base,target=/x --mount=from=other,target=/y true\n";

    #[test]
    fn only_what_a_target_needs_is_there() {
        assert_eq!(told(STAGES, None), ["0<debian", "2<scratch", "3<alpine", "4<2 0 3 img:1 other"]);
        assert_eq!(told(STAGES, Some("TEST")), ["0<debian", "1<0"]);
        assert_eq!(told(STAGES, Some("2")), ["2<scratch"]);
        assert_eq!(told("FROM --platform=$V $V:1\n", None), ["0<base:1"]);
    }

    #[test]
    fn onbuild_of_a_base_adds_what_it_copies_from() {
        let text = "FROM x AS tool\nFROM y AS base\nONBUILD COPY --from=tool /t /\nFROM base AS child\nFROM child\n";
        assert_eq!(told(text, Some("base")), ["1<y"]);
        assert_eq!(told(text, Some("child")), ["0<x", "1<y", "2<1 0"]);
        let trigger = Step::parse_trigger("COPY --from=tool /t /").unwrap();
        let graph = graph("FROM x AS tool\nFROM y\n", None, &Triggers::from([(1, vec![trigger])])).unwrap();
        assert_eq!(graph.stages.len(), 2);
    }

    #[test]
    fn wrong_names_have_a_place() {
        for (text, target, line, column, message, hint) in [
            (STAGES, Some("tset"), 1, 1, "there is no stage 'tset' to build", "there are base, test, empty, debian"),
            ("FROM a\n", Some("7"), 1, 1, "there is no stage '7' to build", "AS name"),
            ("FROM a AS x\nFROM b AS X\n", None, 2, 1, "a second stage is named 'x'", "line 1"),
            ("FROM a\nCOPY --from=x a b\nFROM b AS x\n", Some("0"), 2, 13, "'x' is a later stage", "line 3"),
            ("FROM a AS x\nCOPY --from=x a b\n", None, 2, 13, "'x' is the stage itself", "context"),
            ("FROM a\nCOPY --from=0 a b\n", None, 2, 13, "'0' is the stage itself", "context"),
            ("FROM a\nCOPY --from=9 a b\n", None, 2, 13, "'9' is no stage", "0 to 0"),
            ("FROM a\nRUN --mount=type=bind,from=x,target=/x y\nFROM x AS x\n", Some("0"), 2, 28, "'x' is a later", ""),
            ("FROM \"\"\n", None, 1, 6, "the base image '\"\"' is worth nothing", "ARG NAME=value"),
        ] {
            let expand = |word: &Word| Ok(word.text.replace('"', ""));
            let error = Dockerfile::parse(text).unwrap().graph(target, &Triggers::new(), &expand).unwrap_err();
            assert_eq!((error.line, error.column), (line, column), "{text}: {error}");
            assert!(error.message.contains(message), "{error}");
            assert!(error.hint.unwrap_or_default().contains(hint), "{text}");
        }
        // Nobody builds the stage with the mistake.
        assert_eq!(told("FROM a\nCOPY --from=x a b\nFROM b AS x\n", None), ["1<b"]);
    }
}
