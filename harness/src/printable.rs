//! Words of models, files and servers on their way to a person's terminal.

/// Text that cannot command a terminal, nor show its characters in another
/// order than they stand in. What only moves the cursor back is left out.
pub(crate) fn printable(text: &str) -> String {
    let harmless = |c: char| match c {
        '\n' | '\t' => Some(c),
        '\r' => None,
        c if c.is_control() => Some('\u{fffd}'),
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => Some('\u{fffd}'),
        c => Some(c),
    };
    text.chars().filter_map(harmless).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_commands_a_terminal() {
        let clipboard = "a\u{1b}]52;c;eA==\u{7}b";
        assert_eq!(printable(clipboard), "a\u{fffd}]52;c;eA==\u{fffd}b");
        assert_eq!(printable("rm x\rls y\u{8}\r\n"), "rm xls y\u{fffd}\n");
        assert_eq!(printable("\u{202e}cba\u{9b}2J"), "\u{fffd}cba\u{fffd}2J");
        assert_eq!(printable("\tgrüße 漢字 👍\n"), "\tgrüße 漢字 👍\n");
    }
}
