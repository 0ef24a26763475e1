//! Output of unbounded length in bounded memory: its head and its tail.

use std::collections::VecDeque;

/// Keeps the first and the last bytes of what a command writes.
#[derive(Debug)]
pub struct HeadTail {
    head: Vec<u8>,
    tail: VecDeque<u8>,
    each: usize,
    left_out: u64,
}

impl HeadTail {
    /// Keeps up to `each` bytes of either end.
    #[must_use]
    pub fn new(each: usize) -> Self {
        Self {
            head: Vec::new(),
            tail: VecDeque::new(),
            each,
            left_out: 0,
        }
    }

    /// Takes the next bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        let room = self.each.saturating_sub(self.head.len()).min(bytes.len());
        let (first, rest) = bytes.split_at(room);
        self.head.extend_from_slice(first);
        self.tail.extend(rest);
        let excess = self.tail.len().saturating_sub(self.each);
        self.tail.drain(..excess);
        self.left_out = self
            .left_out
            .saturating_add(u64::try_from(excess).unwrap_or(u64::MAX));
    }

    /// The text, with a mark where something is left out and without
    /// terminal control sequences.
    #[must_use]
    pub fn text(&self) -> String {
        let tail: Vec<u8> = self.tail.iter().copied().collect();
        if self.left_out == 0 {
            return plain(&[self.head.as_slice(), &tail].concat());
        }
        let head = plain(&self.head);
        let tail = plain(&tail);
        format!(
            "{}\n[… {} bytes are left out here …]\n{}",
            head.trim_end(),
            self.left_out,
            tail.trim_start()
        )
    }
}

/// Text without escape sequences; a carriage return becomes a line break.
fn plain(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes).replace("\r\n", "\n");
    let mut out = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        match c {
            '\u{1b}' => match characters.next() {
                // CSI: parameters, then one final character.
                Some('[') => while characters.next().is_some_and(|c| !('@'..='~').contains(&c)) {},
                // OSC: up to BEL or ESC \.
                Some(']') => {
                    while let Some(c) = characters.next() {
                        if c == '\u{7}' {
                            break;
                        }
                        if c == '\u{1b}' {
                            characters.next_if_eq(&'\\');
                            break;
                        }
                    }
                }
                _ => {}
            },
            '\r' => out.push('\n'),
            '\n' | '\t' => out.push(c),
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pieces: &[&str], expected: &str) {
        let mut output = HeadTail::new(8);
        for piece in pieces {
            output.push(piece.as_bytes());
        }
        assert_eq!(output.text(), expected, "{pieces:?}");
    }

    #[test]
    fn head_and_tail_are_kept_and_the_gap_is_named() {
        check(&["short"], "short");
        check(&["12345678", "abcdefgh"], "12345678abcdefgh");
        check(
            &["1234567", "8xxx", "abcdefgh"],
            "12345678\n[… 3 bytes are left out here …]\nabcdefgh",
        );
        let mut output = HeadTail::new(8);
        for _ in 0..10_000 {
            output.push(&[b'x'; 1000]);
        }
        assert!(output.tail.capacity() < 4000);
    }

    #[test]
    fn control_sequences_are_taken_out() {
        assert_eq!(plain(b"\x1b[1;31mred\x1b[0m\x1b]0;t\x07!\x07"), "red!");
        assert_eq!(plain(b"a\r\nb\rc\x1b]8;;u\x1b\\d"), "a\nb\ncd");
    }
}
