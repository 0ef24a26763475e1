//! Text from elsewhere, made fit for a terminal.
//!
//! What agents, repositories and servers send can carry terminal escapes that
//! rewrite the screen, set the clipboard or hide text. Whole escape sequences
//! are removed, not only their first byte, so that coloured output reads well;
//! other control characters and the marks that turn the direction of text are
//! dropped. A sequence that never ends swallows at most the rest of its line.

use unicode_width::UnicodeWidthChar;

/// Columns of a tab.
const TAB: &str = "    ";

/// Removes everything that is not text or a line's end.
pub(crate) fn clean(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\n' => out.push('\n'),
            '\t' => out.push_str(TAB),
            '\x1b' => skip_escape(&mut chars),
            // The same introducers as single C1 characters.
            '\u{9b}' => skip_control_sequence(&mut chars),
            '\u{90}' | '\u{98}' | '\u{9d}' | '\u{9e}' | '\u{9f}' => skip_string(&mut chars),
            c if c.is_control() || is_deceptive(c) => {}
            c => out.push(c),
        }
    }
    out
}

/// The same on one line: a line's end becomes a space.
pub(crate) fn clean_line(text: &str) -> String {
    let cleaned = clean(text);
    let mut out = String::with_capacity(cleaned.len());
    for (index, line) in cleaned.lines().enumerate() {
        if index > 0 {
            out.push(' ');
        }
        out.push_str(line);
    }
    out
}

/// JSON that a terminal can show: what is no text in its strings is written as an escape, which says the
/// same. Of control characters the serialiser itself escapes the first 32 alone.
pub(crate) fn harmless_json(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if c != '\n' && (c.is_control() || is_deceptive(c)) {
            // Each of them is in the basic plane, so that one unit says it.
            out.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            out.push(c);
        }
    }
    out
}

type Chars<'a> = std::iter::Peekable<std::str::Chars<'a>>;

fn skip_escape(chars: &mut Chars<'_>) {
    match chars.peek().copied() {
        Some('[') => {
            chars.next();
            skip_control_sequence(chars);
        }
        Some(']' | 'P' | 'X' | '^' | '_') => {
            chars.next();
            skip_string(chars);
        }
        // Intermediate bytes, then one final byte.
        Some(' '..='/') => {
            while chars.next_if(|c| matches!(c, ' '..='/')).is_some() {}
            chars.next_if(|c| matches!(c, '0'..='~'));
        }
        Some('0'..='~') => {
            chars.next();
        }
        _ => {}
    }
}

/// `CSI`: parameters and intermediates, then one final byte.
fn skip_control_sequence(chars: &mut Chars<'_>) {
    while chars.next_if(|c| matches!(c, ' '..='?')).is_some() {}
    chars.next_if(|c| matches!(c, '@'..='~'));
}

/// `OSC` and its like: everything up to BEL or ST, at most to the line's end.
fn skip_string(chars: &mut Chars<'_>) {
    while let Some(c) = chars.next_if(|c| *c != '\n') {
        match c {
            '\x07' | '\u{9c}' => return,
            '\x1b' => {
                chars.next_if_eq(&'\\');
                return;
            }
            _ => {}
        }
    }
}

/// Marks that change the direction or joining of what is read.
const fn is_deceptive(c: char) -> bool {
    matches!(c,
        '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{feff}'
        | '\u{202a}'..='\u{202e}' | '\u{2028}' | '\u{2029}'
        | '\u{2066}'..='\u{2069}')
}

/// Columns that `text` takes on a terminal, character by character, which is
/// how most terminals count.
pub(crate) fn columns(text: &str) -> usize {
    text.chars().map(|c| c.width().unwrap_or(0)).sum()
}

/// Cuts one line to `limit` columns; a cut line ends in `…`.
pub(crate) fn fit(text: &str, limit: usize) -> String {
    if columns(text) <= limit {
        return text.to_owned();
    }
    let mut out = String::new();
    let mut used = 0;
    for c in text.chars() {
        let width = c.width().unwrap_or(0);
        if used + width + 1 > limit {
            break;
        }
        used += width;
        out.push(c);
    }
    out.push('…');
    out
}

/// Breaks text into lines of at most `limit` columns, at spaces where there are
/// any. Without a limit only the text's own line ends break it.
///
/// Breaking is greedy, so when text grows at its end, all lines but the last
/// stay as they were.
pub(crate) fn wrap(text: &str, limit: Option<usize>) -> Vec<String> {
    let Some(limit) = limit else {
        return text.split('\n').map(str::to_owned).collect();
    };
    let limit = limit.max(8);
    text.split('\n')
        .flat_map(|line| wrap_line(line, limit))
        .collect()
}

fn wrap_line(line: &str, limit: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut current = String::new();
    let mut used = 0;
    for word in line.split_inclusive(' ') {
        let shown = columns(word.trim_end_matches(' '));
        if used > 0 && used + shown > limit {
            lines.push(take_line(&mut current));
            used = 0;
        }
        for c in word.chars() {
            let width = c.width().unwrap_or(0);
            if used + width > limit && c != ' ' {
                lines.push(take_line(&mut current));
                used = 0;
            }
            current.push(c);
            used += width;
        }
    }
    lines.push(take_line(&mut current));
    lines
}

fn take_line(line: &mut String) -> String {
    let mut taken = std::mem::take(line);
    taken.truncate(taken.trim_end_matches(' ').len());
    taken
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn escapes_go_and_text_stays() {
        for (given, wanted) in [
            ("plain\ttext\n", "plain    text\n"),
            ("\x1b[31mred\x1b[0m", "red"),
            ("\x1b[2J\x1b[1;1Hhome", "home"),
            ("\x1b]0;title\x07after", "after"),
            ("\x1b]8;;http://evil\x1b\\link\x1b]8;;\x1b\\", "link"),
            ("\x1b]52;c;ZXZpbA==\x07clip", "clip"),
            ("\x1b]never ends\nnext", "\nnext"),
            ("\x1bPdcs\x1b\\x", "x"),
            ("\x1b(Bx\x1bcy", "xy"),
            ("\u{9b}31mc1\u{9d}0;t\u{9c}z", "c1z"),
            ("over\rwrite\x08\x07", "overwrite"),
            ("a\u{202e}b\u{2066}c", "abc"),
            ("日本 é 🎉", "日本 é 🎉"),
            ("\x1b", ""),
            ("\x1b[", ""),
        ] {
            assert_eq!(clean(given), wanted, "{given:?}");
        }
        assert_eq!(clean_line("a\nb\r\nc"), "a b c");
    }

    #[test]
    fn json_says_the_same_and_moves_no_cursor() {
        let value = serde_json::json!({ "title": "\u{9b}2J\u{202e}x\x7f\x1b[m\n 日本" });
        let pretty = serde_json::to_string_pretty(&value).unwrap();
        let shown = harmless_json(&pretty);
        assert_eq!(
            shown,
            "{\n  \"title\": \"\\u009b2J\\u202ex\\u007f\\u001b[m\\n 日本\"\n}"
        );
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&shown).unwrap(),
            value
        );
    }

    #[test]
    fn lines_are_cut_and_broken_by_columns() {
        assert_eq!(fit("日本語", 5), "日本…");
        assert_eq!(fit("short", 5), "short");
        assert_eq!(wrap("one two three", Some(9)), ["one two", "three"]);
        assert_eq!(wrap("abcdefghijkl", Some(8)), ["abcdefgh", "ijkl"]);
        assert_eq!(wrap("a\n\nb", None), ["a", "", "b"]);
        assert_eq!(wrap("", Some(10)), [""]);
    }

    proptest! {
        #[test]
        fn nothing_that_moves_the_cursor_survives(text in "(\\PC|[\\x00-\\x1f\\x7f-\\u{9f}]|\\x1b[\\[\\]P][0-9;]*){0,40}") {
            let cleaned = clean(&text);
            prop_assert!(cleaned.chars().all(|c| c == '\n' || !c.is_control()));
            prop_assert_eq!(clean(&cleaned), cleaned.clone());
        }

        #[test]
        fn growing_text_keeps_its_earlier_lines(text in "[a-z ]{0,80}", more in "[a-z ]{0,40}", limit in 8usize..30) {
            let before = wrap(&text, Some(limit));
            let after = wrap(&format!("{text}{more}"), Some(limit));
            let settled = &before[..before.len() - 1];
            prop_assert_eq!(settled, &after[..settled.len()]);
        }

        #[test]
        fn no_line_is_wider_than_the_limit(text in "\\PC{0,80}", limit in 8usize..40) {
            for line in wrap(&clean(&text), Some(limit)) {
                prop_assert!(columns(&line) <= limit, "{line:?}");
            }
        }
    }
}
