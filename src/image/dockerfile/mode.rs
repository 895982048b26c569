//! `--chmod`: octal, or symbolic as chmod(1) has it.

/// Set-user, set-group and sticky bits.
const SET_USER: u32 = 0o4000;
const SET_GROUP: u32 = 0o2000;
const STICKY: u32 = 0o1000;

/// What `a` stands for, and no letter at all: everything but the sticky bit.
const EVERYBODY: u32 = SET_USER | SET_GROUP | 0o777;

/// What a `--chmod` makes of permission bits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileMode(Change);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Change {
    To(u32),
    Steps(Vec<Step>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Set(u32),
    Clear(u32),
    /// Set if the file was executable before, or is a folder.
    SetIfExecutable(u32),
    /// Copies the permissions of user, group or others, found by a shift, to those of a mask.
    Copy {
        from: u32,
        to: u32,
        operator: char,
    },
}

impl FileMode {
    /// Parses `755`, `u+x`, `go=u-w,a+X`.
    ///
    /// # Errors
    /// What is wrong with it, as a sentence without a subject's place.
    pub fn parse(text: &str) -> Result<FileMode, String> {
        let octal = || format!("'{text}' is no mode: an octal number is at most 7777");
        if text.starts_with(|c: char| c.is_ascii_digit()) {
            let mode = u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= 0o7777).ok_or_else(octal)?;
            return Ok(FileMode(Change::To(mode)));
        }
        let mut steps = Vec::new();
        for clause in text.split(',') {
            parse_clause(clause, &mut steps).ok_or_else(|| format!("'{text}' is no mode"))?;
        }
        Ok(FileMode(Change::Steps(steps)))
    }

    /// The permission bits, if they do not depend on what was before.
    pub fn fixed(&self) -> Option<u32> {
        match self.0 {
            Change::To(mode) => Some(mode),
            Change::Steps(_) => None,
        }
    }

    /// The permission bits of a file or folder that had others before.
    pub fn apply(&self, mode: u32, is_folder: bool) -> u32 {
        let steps = match &self.0 {
            Change::To(mode) => return *mode,
            Change::Steps(steps) => steps,
        };
        steps.iter().fold(mode, |now, step| match *step {
            Step::Set(bits) => now | bits,
            Step::Clear(bits) => now & !bits,
            Step::SetIfExecutable(bits) if mode & 0o111 != 0 || is_folder => now | bits,
            Step::SetIfExecutable(_) => now,
            Step::Copy { from, to, operator } => {
                let value = (now >> from) & 0o7;
                let spread = |value: u32| (value << 6 | value << 3 | value) & to;
                match operator {
                    '+' => now | spread(value),
                    '-' => now & !spread(value),
                    _ => now & !spread(0o7) | spread(value),
                }
            }
        })
    }
}

/// One `who operator permissions ...`, several operators included.
fn parse_clause(clause: &str, steps: &mut Vec<Step>) -> Option<()> {
    let at = clause.find(['+', '-', '='])?;
    let mut who = 0;
    for c in clause[..at].chars() {
        who |= match c {
            'a' => EVERYBODY,
            'u' => SET_USER | 0o700,
            'g' => SET_GROUP | 0o070,
            'o' => 0o007,
            _ => return None,
        };
    }
    let mut rest = &clause[at..];
    while let Some(operator) = rest.chars().next() {
        let end = rest[1..].find(['+', '-', '=']).map_or(rest.len(), |end| end + 1);
        parse_permissions(who, operator, &rest[1..end], steps)?;
        rest = &rest[end..];
    }
    Some(())
}

fn parse_permissions(who: u32, operator: char, letters: &str, steps: &mut Vec<Step>) -> Option<()> {
    let affected = if who == 0 { EVERYBODY | STICKY } else { who };
    let (mut bits, mut executable, mut copies) = (0, 0, Vec::new());
    for letter in letters.chars() {
        // Of others there are neither set-id nor sticky bits.
        let special = |bits: u32| if who == 0 || who & !0o007 != 0 { bits } else { 0 };
        match letter {
            'r' => bits |= 0o444 & affected,
            'w' => bits |= 0o222 & affected,
            'x' => bits |= 0o111 & affected,
            'X' if operator == '-' => bits |= 0o111 & affected,
            'X' => executable |= 0o111 & affected,
            's' => bits |= special(SET_USER | SET_GROUP) & affected,
            't' => bits |= special(STICKY),
            'u' => copies.push(6),
            'g' => copies.push(3),
            'o' => copies.push(0),
            _ => return None,
        }
    }
    if operator == '=' && copies.is_empty() {
        steps.push(Step::Clear(if who == 0 { EVERYBODY } else { who }));
    }
    steps.push(if operator == '-' { Step::Clear(bits) } else { Step::Set(bits) });
    steps.push(Step::SetIfExecutable(executable));
    let to = affected & 0o777;
    steps.extend(copies.into_iter().map(|from| Step::Copy { from, to, operator }));
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_change_as_chmod_changes_them() {
        for (text, before, folder, after) in [
            ("755", 0o644, false, 0o755),
            ("0", 0o644, false, 0),
            ("4755", 0o644, false, 0o4755),
            ("u+x", 0o644, false, 0o744),
            ("+x", 0o644, false, 0o755),
            ("a+x", 0o640, false, 0o751),
            ("go-rwx", 0o777, false, 0o700),
            ("u=rwx,go=rx", 0o600, false, 0o755),
            ("u=rwX,go=rX", 0o600, false, 0o644),
            ("u=rwX,go=rX", 0o700, false, 0o755),
            ("u=rwX,go=rX", 0o600, true, 0o755),
            ("go=u-w", 0o700, false, 0o755),
            ("g=u", 0o640, false, 0o660),
            ("o-g", 0o777, false, 0o770),
            ("go=", 0o777, false, 0o700),
            ("u+s", 0o755, false, 0o4755),
            ("a+s", 0o755, false, 0o6755),
            ("o+s", 0o755, false, 0o755),
            ("+t", 0o777, true, 0o1777),
            ("a=r", 0o4777, false, 0o444),
            ("u+w-x", 0o555, false, 0o655),
        ] {
            let mode = FileMode::parse(text).unwrap();
            assert_eq!(mode.apply(before, folder), after, "{text}: {:o}", mode.apply(before, folder));
        }
        for text in ["", "888", "77777", "x", "u", "u+q", "u+x,", "b+x", "0o7", "7x", "u*x"] {
            assert!(FileMode::parse(text).is_err(), "{text}");
        }
    }
}
