//! Makes text of other programs harmless to the terminal.

use std::borrow::Cow;

const TAB: usize = 8;

/// One line without anything that a terminal obeys; colours (SGR) stay where `colour` is on.
///
/// Cursor movements, titles, links, device queries and bidirectional overrides go; tabs become spaces.
pub(super) fn harmless(line: &str, colour: bool) -> Cow<'_, str> {
    if !line.chars().any(obeyed) {
        return Cow::Borrowed(line);
    }
    let mut text = String::with_capacity(line.len());
    let mut column = 0;
    let mut painted = false;
    let mut rest = line.chars();
    while let Some(character) = rest.next() {
        match character {
            '\x1b' => match rest.next() {
                Some('[') => painted |= control_sequence(&mut rest, colour, &mut text),
                Some(']' | 'P' | 'X' | '^' | '_') => skip_string(&mut rest),
                // Intermediates, then one final character, as in `ESC ( B`.
                Some(' '..='/') => drop(rest.find(|next| !(' '..='/').contains(next))),
                _ => {}
            },
            '\u{9b}' => painted |= control_sequence(&mut rest, colour, &mut text),
            '\u{90}' | '\u{98}' | '\u{9d}'..='\u{9f}' => skip_string(&mut rest),
            '\t' => {
                let spaces = TAB - column % TAB;
                text.extend(std::iter::repeat_n(' ', spaces));
                column += spaces;
            }
            _ if obeyed(character) => {}
            _ => {
                text.push(character);
                column += 1;
            }
        }
    }
    if painted {
        text.push_str("\x1b[0m");
    }
    Cow::Owned(text)
}

fn obeyed(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}')
}

/// Reads the rest of a control sequence; copies it if it is a colour that is wanted, and says whether it did.
fn control_sequence(rest: &mut std::str::Chars<'_>, colour: bool, text: &mut String) -> bool {
    let whole = rest.as_str();
    let Some((end, last)) = whole.char_indices().find(|(_, next)| !matches!(next, ' '..='?')) else {
        *rest = "".chars();
        return false;
    };
    let parameters = &whole[..end];
    if !('@'..='~').contains(&last) {
        // Broken off by something else, which is looked at again.
        *rest = whole[end..].chars();
        return false;
    }
    *rest = whole[end + 1..].chars();
    let is_colour = last == 'm' && parameters.chars().all(|next| matches!(next, '0'..='9' | ';' | ':'));
    if colour && is_colour {
        text.push_str("\x1b[");
        text.push_str(parameters);
        text.push('m');
        return true;
    }
    false
}

/// Reads to the end of a control string: BEL, ST, or the end of the line.
fn skip_string(rest: &mut std::str::Chars<'_>) {
    while let Some(next) = rest.next() {
        match next {
            '\x07' | '\u{9c}' => return,
            '\x1b' => {
                rest.next();
                return;
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_colours_survive() {
        for (input, plain, coloured) in [
            ("plain – ok", "plain – ok", "plain – ok"),
            ("\x1b[1;31merror\x1b[m: x", "error: x", "\x1b[1;31merror\x1b[m: x\x1b[0m"),
            ("\x1b[38:5:9mx", "x", "\x1b[38:5:9mx\x1b[0m"),
            ("\x1b[2J\x1b[Hgone", "gone", "gone"),
            ("\x1b[?25lx\x1b[>4;2my", "xy", "xy"),
            ("\x1b]0;title\x07text", "text", "text"),
            ("\x1b]8;;http://a\x1b\\link\x1b]8;;\x1b\\", "link", "link"),
            ("\x1bP+q544e\x1b\\x", "x", "x"),
            ("\x1b]0;never ended", "", ""),
            ("\x1b[12;", "", ""),
            ("\x1b[12\x1b[31mx", "x", "\x1b[31mx\x1b[0m"),
            ("\x1b(Bx\x1b7y\x1bcz", "xyz", "xyz"),
            ("\u{9b}2Jx\u{9d}0;t\u{9c}y", "xy", "xy"),
            ("a\tb\tc", "a       b       c", "a       b       c"),
            ("a\x07b\x08c\0d\x7fe", "abcde", "abcde"),
            ("if \u{202e}evil\u{2066}", "if evil", "if evil"),
            ("x\x1b", "x", "x"),
            ("\x1b[é", "é", "é"),
        ] {
            assert_eq!(harmless(input, false), plain, "{input:?}");
            assert_eq!(harmless(input, true), coloured, "{input:?}");
        }
    }
}
