//! The image's configuration.

use super::{Verdict, regex};
use crate::config::{MetadataTest, SpecVariable};
use crate::domain::Result;
use crate::image::Runtime;

/// The name that the one test of its kind goes by.
const NAME: &str = "metadata";

/// A port with its protocol.
fn port(text: &str) -> String {
    if text.contains('/') { text.to_owned() } else { format!("{text}/tcp") }
}

fn check_value(verdict: &mut Verdict, what: &str, wanted: &SpecVariable, found: Option<&str>) -> Result<()> {
    let SpecVariable { key, value, is_regex } = wanted;
    let Some(found) = found else {
        verdict.expect(false, || format!("{what} {key} is not set"));
        return Ok(());
    };
    let fits = if *is_regex { regex(value)?.is_match(found.as_bytes()) } else { found == value };
    verdict.expect(fits, || format!("{what} {key} is '{found}', and not '{value}'"));
    Ok(())
}

pub(super) fn check(test: &MetadataTest, runtime: &Runtime) -> Result<Verdict> {
    let mut verdict = Verdict::new(NAME);
    let variable = |name: &str| runtime.environment().find(|(found, _)| *found == name).map(|(_, value)| value);
    for wanted in &test.env_vars {
        check_value(&mut verdict, "the variable", wanted, variable(&wanted.key))?;
    }
    for name in &test.unbound_env_vars {
        verdict.expect(variable(name).is_none(), || format!("the variable {name} is set"));
    }
    for wanted in &test.labels {
        let found = runtime.labels.as_ref().and_then(|labels| labels.get(&wanted.key));
        check_value(&mut verdict, "the label", wanted, found.map(String::as_str))?;
    }
    let ports = runtime.exposed_ports.clone().unwrap_or_default();
    for wanted in &test.exposed_ports {
        verdict.expect(ports.contains_key(&port(wanted)), || format!("the port {wanted} is not exposed"));
    }
    for unwanted in &test.unexposed_ports {
        verdict.expect(!ports.contains_key(&port(unwanted)), || format!("the port {unwanted} is exposed"));
    }
    let volumes = runtime.volumes.clone().unwrap_or_default();
    for wanted in &test.volumes {
        verdict.expect(volumes.contains_key(wanted), || format!("{wanted} is no volume"));
    }
    for unwanted in &test.unmounted_volumes {
        verdict.expect(!volumes.contains_key(unwanted), || format!("{unwanted} is a volume"));
    }
    for (what, wanted, found) in
        [("entrypoint", &test.entrypoint, &runtime.entrypoint), ("cmd", &test.cmd, &runtime.cmd)]
    {
        let found = found.clone().unwrap_or_default();
        if let Some(wanted) = wanted {
            verdict.expect(found == *wanted, || format!("{what} is {found:?}, and not {wanted:?}"));
        }
    }
    for (what, wanted, found) in [("workdir", &test.workdir, &runtime.working_dir), ("user", &test.user, &runtime.user)]
    {
        if let Some(wanted) = wanted {
            verdict.expect(found == wanted, || format!("{what} is '{found}', and not '{wanted}'"));
        }
    }
    Ok(verdict)
}
