//! What is to run commands, as people say it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer};

use super::{Error, from_text};

/// What is to run commands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EngineChoice {
    /// xbuild itself, in namespaces.
    Native,
    /// The machine's own compilers, with neither container nor sandbox.
    Host,
    /// Docker or Podman: at an address, by the name of a context, or wherever it is found.
    Docker(Option<String>),
}

impl FromStr for EngineChoice {
    type Err = Error;

    fn from_str(text: &str) -> Result<EngineChoice, Error> {
        match text.split_once('=').map_or((text, None), |(engine, place)| (engine, Some(place))) {
            ("native", None) => Ok(EngineChoice::Native),
            ("host", None) => Ok(EngineChoice::Host),
            ("docker", None) => Ok(EngineChoice::Docker(None)),
            ("docker", Some(place)) if !place.is_empty() => Ok(EngineChoice::Docker(Some(place.to_owned()))),
            _ => Err(Error::usage(format!("there is no engine '{text}'"))
                .hint("there are native, docker or docker=ENDPOINT for Docker and Podman, and host")),
        }
    }
}

impl<'de> Deserialize<'de> for EngineChoice {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<EngineChoice, D::Error> {
        from_text(deserializer, "an engine", |text| text.parse().map_err(|error: Error| error.with_hints()))
    }
}

impl fmt::Display for EngineChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EngineChoice::Native => f.write_str("native"),
            EngineChoice::Host => f.write_str("host"),
            EngineChoice::Docker(None) => f.write_str("docker"),
            EngineChoice::Docker(Some(place)) => write!(f, "docker={place}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn engines_are_read_as_they_are_written() {
        for text in ["native", "host", "docker", "docker=unix:///run/podman/podman.sock", "docker=laptop"] {
            assert_eq!(text.parse::<EngineChoice>().unwrap().to_string(), text);
        }
        for text in ["", "Docker", "docker=", "native=x", "host=x", "podman"] {
            assert!(text.parse::<EngineChoice>().is_err(), "{text}");
        }
    }
}
