//! What a terminal would have left on its screen.
//!
//! Tools write colours, cursor movements and progress lines. [`plain`] removes
//! escape sequences, lets a carriage return overwrite its line, and drops other
//! control characters, so that output reads as text and can do nothing.

use crate::text::honest::overrides;

/// `output` as plain lines.
pub(crate) fn plain(output: &str) -> String {
    let mut text = String::with_capacity(output.len());
    let mut line = String::new();
    let mut characters = output.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\u{1b}' => skip_escape(&mut characters),
            '\n' => {
                text.push_str(&line);
                text.push('\n');
                line.clear();
            }
            '\r' if characters.peek() != Some(&'\n') => line.clear(),
            '\t' => line.push('\t'),
            '\u{8}' => {
                line.pop();
            }
            other if overrides(other) => line.push('\u{fffd}'),
            other if other.is_control() => {}
            other => line.push(other),
        }
    }
    text.push_str(&line);
    text
}

fn skip_escape(characters: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    match characters.next() {
        // CSI: parameters, then one final byte.
        Some('[') => {
            for character in characters.by_ref() {
                if ('@'..='~').contains(&character) {
                    break;
                }
            }
        }
        // OSC and other strings: up to BEL or ST.
        Some(']' | 'P' | '_' | '^' | 'X') => {
            while let Some(character) = characters.next() {
                if character == '\u{7}' {
                    break;
                }
                if character == '\u{1b}' {
                    characters.next_if_eq(&'\\');
                    break;
                }
            }
        }
        Some(' '..='/') => {
            characters.next();
        }
        _ => {}
    }
}

/// The last `count` lines that are not empty.
pub(crate) fn tail(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.trim_end().lines().collect();
    lines
        .get(lines.len().saturating_sub(count)..)
        .unwrap_or_default()
        .join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_text_is_left() {
        let cases = [
            ("a\nb", "a\nb"),
            ("\u{1b}[31mred\u{1b}[0m", "red"),
            ("\u{1b}]8;;https://x\u{7}link\u{1b}]8;;\u{1b}\\!", "link!"),
            ("10%\r50%\r100%\ndone", "100%\ndone"),
            ("a\r\nb", "a\nb"),
            ("ab\u{8}c\u{7}", "ac"),
            ("x\u{202e}y", "x\u{fffd}y"),
            ("cut \u{1b}[", "cut "),
            ("\u{1b}(Bx", "x"),
        ];
        for (output, expected) in cases {
            assert_eq!(plain(output), expected, "{output:?}");
        }
    }

    #[test]
    fn the_tail_is_the_last_lines() {
        assert_eq!(tail("a\nb\nc\n\n", 2), "b\nc");
        assert_eq!(tail("a", 3), "a");
        assert_eq!(tail("", 3), "");
    }
}
