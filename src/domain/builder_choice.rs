//! Which machine builds for a target, as people say it.

use std::str::FromStr;

use super::{Arch, Error};

/// `PLATFORM=ENGINE`: an engine, by a context's name or an address, that builds what is for a platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuilderChoice {
    /// For which target.
    pub target: Arch,
    /// The context or the address.
    pub engine: String,
}

impl FromStr for BuilderChoice {
    type Err = Error;

    fn from_str(text: &str) -> Result<BuilderChoice, Error> {
        let wrong = || {
            Error::usage(format!("'{text}' names no builder"))
                .hint("write PLATFORM=ENGINE, as in linux/arm64=farm or linux/arm64=ssh://build@farm")
        };
        let (platform, engine) = text.split_once('=').ok_or_else(wrong)?;
        if engine.is_empty() {
            return Err(wrong());
        }
        let target = Arch::find(platform).ok_or_else(|| {
            Error::usage(format!("there is no platform '{platform}'")).hint(format!("there are {}", Arch::names()))
        })?;
        Ok(BuilderChoice { target, engine: engine.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_platform_may_be_spelled_as_everywhere() {
        for text in ["linux/arm64=farm", "arm64=farm", "aarch64=farm"] {
            let choice: BuilderChoice = text.parse().unwrap();
            assert_eq!((choice.target, choice.engine.as_str()), (Arch::Arm64, "farm"), "{text}");
        }
        let choice: BuilderChoice = "linux/arm/v7=tcp://h:2376?x=y".parse().unwrap();
        assert_eq!((choice.target, choice.engine.as_str()), (Arch::Arm, "tcp://h:2376?x=y"));
        for text in ["", "farm", "linux/arm64=", "=farm", "linux/mips=farm"] {
            assert!(text.parse::<BuilderChoice>().is_err(), "{text}");
        }
    }
}
