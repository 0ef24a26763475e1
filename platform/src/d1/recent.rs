//! Answers of D1 that were read a moment ago.
//!
//! Who somebody is and what they may do is asked with every request and changes rarely, and D1 is
//! the slowest thing that a request waits for. A read that asks for it ([`super::D1::recent`]) may be
//! answered from here.
//!
//! Invariants:
//! - An answer is at most [`FRESH`] old.
//! - A write to D1 through this isolate forgets every answer, before it begins and after it ends, and
//!   what was read meanwhile is not kept: an isolate never contradicts its own writes. Another
//!   isolate's writes are seen once [`FRESH`] has passed.
//! - An answer without a row is not kept: what was just granted is not refused.
//! - At most [`MOST`] answers are held.
//!
//! So nothing may be read here that decides about a write, or about a socket that stays open.

use std::cell::RefCell;
use std::rc::Rc;

use sam_domain::collect::Map;
use sam_domain::time::{Millis, Timestamp};

/// How old an answer may be.
pub const FRESH: Millis = Millis::seconds(5);
/// How many answers are held.
const MOST: usize = 1_000;

thread_local! {
    static RECENT: RefCell<Recent> = RefCell::default();
}

/// A query with its parameters.
pub(super) type Question = (&'static str, Box<str>);

#[derive(Default)]
struct Recent {
    answers: Map<Question, (Timestamp, Rc<str>)>,
    /// Grows with every write; tells a reader that its answer may be out of date.
    writes: u64,
}

/// A read that began.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reading {
    writes: u64,
    at: Timestamp,
}

/// The answer to a question, if one was read a moment ago.
pub(super) fn find(question: &Question, now: Timestamp) -> Option<Rc<str>> {
    RECENT.with_borrow(|recent| recent.find(question, now))
}

/// A read begins.
pub(super) fn begin(now: Timestamp) -> Reading {
    RECENT.with_borrow(|recent| recent.begin(now))
}

/// Keeps what a read brought.
pub(super) fn keep(question: Question, reading: Reading, answer: Rc<str>) {
    RECENT.with_borrow_mut(|recent| recent.keep(question, reading, answer));
}

/// Something is being, or was, written.
pub(super) fn forget() {
    RECENT.with_borrow_mut(Recent::forget);
}

impl Recent {
    fn find(&self, question: &Question, now: Timestamp) -> Option<Rc<str>> {
        let (at, answer) = self.answers.get(question)?;
        // A clock that was set back makes an answer old, not fresh for longer.
        (*at..at.plus(FRESH))
            .contains(&now)
            .then(|| Rc::clone(answer))
    }

    fn begin(&self, now: Timestamp) -> Reading {
        Reading {
            writes: self.writes,
            at: now,
        }
    }

    fn keep(&mut self, question: Question, reading: Reading, answer: Rc<str>) {
        if reading.writes != self.writes || &*answer == "[]" {
            return;
        }
        if self.answers.len() >= MOST {
            // Simpler than an order of use, and rare: a second's questions come again anyway.
            self.answers.clear();
        }
        self.answers.insert(question, (reading.at, answer));
    }

    fn forget(&mut self) {
        self.writes += 1;
        self.answers.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(number: usize) -> Question {
        ("SELECT ?1", number.to_string().into())
    }

    #[test]
    fn an_answer_is_found_until_it_is_old() {
        let mut recent = Recent::default();
        let reading = recent.begin(Timestamp(1_000));
        recent.keep(question(1), reading, "[1]".into());
        let end = 1_000 + FRESH.0;
        assert!(recent.find(&question(1), Timestamp(end - 1)).is_some());
        assert!(recent.find(&question(1), Timestamp(end)).is_none());
        assert!(recent.find(&question(1), Timestamp(999)).is_none());
        assert!(recent.find(&question(2), Timestamp(1_000)).is_none());
    }

    #[test]
    fn a_write_forgets_everything_and_what_is_being_read() {
        let mut recent = Recent::default();
        let now = Timestamp(1_000);
        recent.keep(question(1), recent.begin(now), "[1]".into());
        let reading = recent.begin(now);
        recent.forget();
        recent.keep(question(2), reading, "[1]".into());
        assert!(recent.find(&question(1), now).is_none());
        assert!(recent.find(&question(2), now).is_none());
    }

    #[test]
    fn an_answer_without_a_row_is_not_kept() {
        let mut recent = Recent::default();
        let now = Timestamp(1_000);
        recent.keep(question(1), recent.begin(now), "[]".into());
        assert!(recent.find(&question(1), now).is_none());
    }

    #[test]
    fn the_number_of_answers_is_bounded() {
        let mut recent = Recent::default();
        for number in 0..5 * MOST {
            recent.keep(question(number), recent.begin(Timestamp(1)), "[1]".into());
            assert!(recent.answers.len() <= MOST);
        }
        assert!(recent.find(&question(5 * MOST - 1), Timestamp(1)).is_some());
    }
}
