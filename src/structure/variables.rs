//! `$NAME` and `${NAME}` in specs.

/// Puts values in for variables; one that `lookup` does not know stays as it is written.
pub(super) fn expand(text: &str, lookup: &dyn Fn(&str) -> Option<String>) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(start) = rest.find('$') {
        out.push_str(&rest[..start]);
        let written = &rest[start..];
        let value = reference(written).and_then(|(name, length)| Some((lookup(name)?, length)));
        let (value, length) = value.unwrap_or(("$".to_owned(), 1));
        out.push_str(&value);
        rest = &written[length..];
    }
    out + rest
}

/// The name of the variable that a text begins with, and the length of the whole reference.
fn reference(text: &str) -> Option<(&str, usize)> {
    let braced = text.strip_prefix("${");
    let name = braced.unwrap_or(&text[1..]);
    let end = name.find(|c: char| c != '_' && !c.is_ascii_alphanumeric()).unwrap_or(name.len());
    let (name, after) = name.split_at(end);
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    match braced {
        Some(_) if after.starts_with('}') => Some((name, name.len() + 3)),
        Some(_) => None,
        None => Some((name, name.len() + 1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_names_give_way_and_all_else_stays() {
        let lookup = |name: &str| (name == "A" || name == "A_1").then(|| format!("<{name}>"));
        for (text, expanded) in [
            ("$A/bin:${A}", "<A>/bin:<A>"),
            ("$A_1$A", "<A_1><A>"),
            ("$B ${B} $$ $? $1 ${A ${A:-x} $", "$B ${B} $$ $? $1 ${A ${A:-x} $"),
            ("ü$Aü", "ü<A>ü"),
        ] {
            assert_eq!(expand(text, &lookup), expanded, "{text}");
        }
    }
}
