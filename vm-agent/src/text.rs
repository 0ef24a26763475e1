//! Text from elsewhere, made fit to be shown.
//!
//! Names of files and branches, and what programs print, may hold escapes that
//! rewrite a terminal and marks that turn the direction of what is read. They
//! are shown as what they are, not obeyed.

/// Control characters and deceptive marks as escapes (`\u{1b}`); a line's end
/// stays one, and a tab becomes a space.
pub(crate) fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => out.push('\n'),
            '\t' => out.push(' '),
            c if c.is_control() || is_deceptive(c) => out.extend(c.escape_unicode()),
            c => out.push(c),
        }
    }
    out
}

/// Marks that change the direction or joining of what is read.
const fn is_deceptive(c: char) -> bool {
    matches!(c,
        '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{feff}'
        | '\u{202a}'..='\u{202e}' | '\u{2028}' | '\u{2029}'
        | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_shown() {
        assert_eq!(printable("plain ü\n\tx"), "plain ü\n x");
        assert_eq!(
            printable("\x1b[2J\r\0\u{202e}gpj"),
            r"\u{1b}[2J\u{d}\u{0}\u{202e}gpj"
        );
    }
}
