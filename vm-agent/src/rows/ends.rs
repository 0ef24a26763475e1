//! The two ends of a text that may never end.
//!
//! What a tool prints is kept from its beginning to its end while that is
//! within [`BODY_LIMIT`]; beyond, the first and the last half of it are kept,
//! and a line between them says how much is missing. Memory is bounded while it
//! grows, and every cut is at a character.

use super::BODY_LIMIT;
use sam_domain::conversation::row::truncate;

/// Room for the line between the ends.
const MARK_ROOM: usize = 100;
/// Most bytes of either end.
const END_LIMIT: usize = (BODY_LIMIT - MARK_ROOM) / 2;

/// A text of which both ends are kept.
#[derive(Clone, Debug, Default)]
pub(super) struct Ends {
    head: String,
    /// Whether the head is full: what comes goes to the tail.
    full: bool,
    tail: String,
    /// Bytes dropped between them.
    lost: u64,
}

impl Ends {
    /// Of a text that is whole.
    pub(super) fn of(text: &str) -> Self {
        let mut ends = Self::default();
        ends.push(text);
        ends
    }

    /// Takes what comes next.
    pub(super) fn push(&mut self, piece: &str) {
        let mut rest = piece;
        if !self.full {
            let (kept, over) = truncate(piece, END_LIMIT.saturating_sub(self.head.len()));
            self.head.push_str(kept);
            self.full = over > 0;
            rest = piece.get(kept.len()..).unwrap_or_default();
        }
        self.lost += last(rest, END_LIMIT).1;
        self.tail.push_str(last(rest, END_LIMIT).0);
        // Not at every piece: what is dropped is moved over.
        if self.tail.len() > 2 * END_LIMIT {
            let (kept, dropped) = last(&self.tail, END_LIMIT);
            self.lost += dropped;
            self.tail = kept.to_owned();
        }
    }

    /// Bytes that are held.
    pub(super) fn len(&self) -> usize {
        self.head.len() + self.tail.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.head.is_empty()
    }

    /// The text, at most [`BODY_LIMIT`] bytes, and how many of it are missing.
    pub(super) fn text(&self) -> (String, u64) {
        let (tail, dropped) = last(&self.tail, END_LIMIT);
        let lost = self.lost + dropped;
        let between = match lost {
            0 => String::new(),
            lost => format!("\n… [{lost} bytes left out here] …\n"),
        };
        (format!("{}{between}{tail}", self.head), lost)
    }
}

/// The last `limit` bytes of a text, at a character, and how many come before.
fn last(text: &str, limit: usize) -> (&str, u64) {
    let mut start = text.len().saturating_sub(limit);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    (text.get(start..).unwrap_or_default(), start as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits_stays_whole() {
        let mut ends = Ends::default();
        assert!(ends.is_empty());
        ends.push("one ");
        ends.push("two");
        assert_eq!(ends.text(), ("one two".to_owned(), 0));
    }

    #[test]
    fn of_what_does_not_fit_both_ends_stay_and_the_gap_is_told() {
        let whole = format!("first {} last", "üx".repeat(4 * 1024 * 1024));
        for piece in [whole.len(), 1_000_003, 65_537] {
            let mut ends = Ends::default();
            let mut rest = whole.as_str();
            while !rest.is_empty() {
                let (next, _) = truncate(rest, piece);
                ends.push(next);
                assert!(ends.len() <= 4 * END_LIMIT);
                rest = rest.get(next.len()..).unwrap_or_default();
            }
            let (text, lost) = ends.text();
            assert!(text.len() <= BODY_LIMIT, "{}", text.len());
            assert!(text.starts_with("first ü") && text.ends_with("x last"));
            let mark = format!("\n… [{lost} bytes left out here] …\n");
            assert!(text.contains(&mark));
            assert_eq!(
                text.len() - mark.len() + usize::try_from(lost).expect("small"),
                whole.len()
            );
        }
    }
}
