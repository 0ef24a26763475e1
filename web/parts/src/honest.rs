//! Text that cannot lie about itself.
//!
//! Overrides of the reading direction make letters stand in another order than the one they are
//! stored in, and control characters hide what is before or behind them. What a person judges by what
//! they read (a question, a command, a path, a changed line) shows neither as it is.

/// Whether a character overrides the reading direction of those around it.
pub const fn overrides(character: char) -> bool {
    matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Text in the order in which it is stored; as many bytes as before, so that what is appended by
/// place still fits.
pub fn in_order(text: String) -> String {
    if text.contains(overrides) {
        text.replace(overrides, "\u{fffd}")
    } else {
        text
    }
}

/// Text with a picture in the place of every control character but the end of a line and the tab.
pub fn visible(text: &str) -> String {
    let picture = |character: char| match character {
        '\n' | '\t' => character,
        '\u{7f}' => '\u{2421}',
        '\0'..='\u{1f}' => char::from_u32(0x2400 + u32::from(character)).unwrap_or('\u{fffd}'),
        other if other.is_control() || overrides(other) => '\u{fffd}',
        other => other,
    };
    text.chars().map(picture).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_is_the_stored_one_and_the_length_stays() {
        let text = "a\u{202e}b\u{2066}c\u{5d0}".to_owned();
        let shown = in_order(text.clone());
        assert_eq!(shown, "a\u{fffd}b\u{fffd}c\u{5d0}");
        assert_eq!(shown.len(), text.len());
    }

    #[test]
    fn nothing_is_hidden_by_what_is_no_letter() {
        let cases = [
            ("evil()\r// harmless", "evil()\u{240d}// harmless"),
            ("\u{1b}[2Kx\u{8}\u{7f}", "\u{241b}[2Kx\u{2408}\u{2421}"),
            ("a\tb\nc", "a\tb\nc"),
            ("\u{9b}2K\u{202e}x", "\u{fffd}2K\u{fffd}x"),
            ("\u{e4}\u{1f600}", "\u{e4}\u{1f600}"),
        ];
        for (text, expected) in cases {
            assert_eq!(visible(text), expected, "{text:?}");
        }
    }
}
