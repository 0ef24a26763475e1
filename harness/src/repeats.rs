//! Whether the model goes in circles.
//!
//! A call together with its result is one step. The newest steps repeat
//! themselves when the last one, or the last few as a whole, happened before
//! in the same order with the same results. Trying again after a change is no
//! circle: the change is a step, and it differs.
//!
//! Calls that cannot be read are counted apart, one after the other.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};

use sam_dialects::conversation::ToolCall as ToolUse;

/// Steps of the longest circle that is noticed.
const LONGEST_CIRCLE: usize = 4;
/// Repetitions after which the model is told.
pub(crate) const TELL_AT: u32 = 3;
/// Calls in a row that cannot be read after which the turn ends.
pub(crate) const MOST_UNREADABLE: u32 = 5;

/// The newest steps of a turn.
#[derive(Debug)]
pub(crate) struct Repeats {
    limit: u32,
    steps: VecDeque<u64>,
    unreadable: u32,
}

impl Repeats {
    /// A turn that has not begun; `limit` repetitions are too many.
    pub(crate) fn new(limit: u32) -> Self {
        Self {
            limit,
            steps: VecDeque::new(),
            unreadable: 0,
        }
    }

    /// Takes in a step. How often the newest steps have happened in a row: 1
    /// for something new.
    pub(crate) fn took(&mut self, call: &ToolUse, result: &str) -> u32 {
        let mut hasher = DefaultHasher::new();
        (&call.name, &call.arguments, result).hash(&mut hasher);
        let room = LONGEST_CIRCLE.saturating_mul(usize::try_from(self.limit).unwrap_or(usize::MAX));
        if self.steps.len() >= room {
            self.steps.pop_front();
        }
        self.steps.push_back(hasher.finish());
        (1..=LONGEST_CIRCLE)
            .map(|length| self.circles(length))
            .max()
            .unwrap_or(1)
    }

    /// Whether so many repetitions are too many.
    pub(crate) fn too_many(&self, times: u32) -> bool {
        times >= self.limit
    }

    /// Takes in whether a call could be read; whether too many could not.
    pub(crate) fn read(&mut self, readable: bool) -> bool {
        self.unreadable = if readable { 0 } else { self.unreadable + 1 };
        self.unreadable >= MOST_UNREADABLE
    }

    /// How often the last `length` steps happened in a row.
    fn circles(&self, length: usize) -> u32 {
        let newest_first = || self.steps.iter().rev();
        let matching = newest_first()
            .zip(newest_first().skip(length))
            .take_while(|(later, earlier)| later == earlier)
            .count();
        u32::try_from(matching / length + 1).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each letter is a step; the count after the last one.
    fn check(steps: &str, expected: u32) {
        let mut repeats = Repeats::new(10);
        let mut last = 0;
        for step in steps.chars() {
            let call = ToolUse {
                id: String::new(),
                name: "bash".to_owned(),
                arguments: step.to_ascii_lowercase().to_string(),
                ..ToolUse::default()
            };
            last = repeats.took(&call, if step.is_uppercase() { "other" } else { "" });
        }
        assert_eq!(last, expected, "{steps}");
    }

    #[test]
    fn circles_of_up_to_four_steps_are_counted() {
        check("a", 1);
        check("abcd", 1);
        check("aaa", 3);
        check("xaaa", 3);
        check("ababab", 3);
        check("abcdabcd", 2);
        check("abcdeabcde", 1);
        check(&"a".repeat(12), 12);
        check(&"abcd".repeat(10), 10);
    }

    #[test]
    fn another_result_or_a_change_between_is_no_circle() {
        check("aaA", 1);
        check("aAaA", 2);
        check("1t2t3t", 1);
    }

    #[test]
    fn unreadable_calls_count_in_a_row() {
        let mut repeats = Repeats::new(10);
        assert!((1..MOST_UNREADABLE).all(|_| !repeats.read(false)));
        assert!(!repeats.read(true));
        assert!((1..MOST_UNREADABLE).all(|_| !repeats.read(false)));
        assert!(repeats.read(false));
    }
}
