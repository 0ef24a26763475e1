//! When a login is refreshed, handed over, or no good any more.
//!
//! | the access token | a refresh | what whoever asks gets |
//! |---|---|---|
//! | lives for longer than [`MARGIN`], or than half of its time | – | it |
//! | lives, but not for long | can be tried | a refreshed one, or it if that fails |
//! | lives, but not for long | was refused, failed just now, or cannot be | it, until it ends |
//! | is over | can be tried | a refreshed one |
//! | is over | failed just now | a wait |
//! | is over | was refused, or cannot be | nothing: the person has to sign in again |
//!
//! An attempt is written down before it is made. One that was interrupted is made again: its provider
//! then refuses it if the token was used up, which is how that comes to light.

use crate::time::{Millis, Timestamp};
use serde::{Deserialize, Serialize};

/// A token that lives for less is refreshed when somebody asks.
pub const MARGIN: Millis = Millis::minutes(10);
/// The pause after an attempt that failed for a reason that may pass.
pub const PAUSE: Millis = Millis::seconds(60);
/// Whoever holds a token without a known end asks again after this.
const UNKNOWN_END: Millis = Millis::hours(1);
/// Nobody asks again sooner.
const SOONEST: Millis = Millis::seconds(2);

/// Why a login is no good any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Problem {
    /// The provider refuses to refresh it: it was revoked, or used somewhere else.
    Refused,
    /// It is over, and there is nothing to refresh it with.
    Over,
}

impl Problem {
    /// Its name, as stored.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Over => "over",
        }
    }
}

/// What is known of a login beside its tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Since when the access token is held.
    pub since: Timestamp,
    /// When it ends, if that is known.
    pub expires_at: Option<Timestamp>,
    /// Whether there is something to refresh it with.
    pub renewable: bool,
    /// When a refresh was last tried that has not succeeded.
    pub tried_at: Option<Timestamp>,
    /// Whether the provider has refused it for good.
    pub refused: bool,
}

/// What is done for whoever asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The token in hand is given.
    HandOver,
    /// It is refreshed first.
    Refresh,
    /// Whoever asks comes again after this.
    Wait(Millis),
    /// The person signs in again.
    SignIn(Problem),
}

impl Standing {
    /// Whether the token in hand can still be used.
    #[must_use]
    pub fn lives(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|end| now < end)
    }

    /// How long before its end a token is refreshed: one that is given for minutes is not refreshed
    /// by everybody who asks.
    fn margin(&self, end: Timestamp) -> Millis {
        Millis(MARGIN.0.min(end.since(self.since).0 / 2))
    }

    /// What is done for whoever asks now.
    #[must_use]
    pub fn step(&self, now: Timestamp) -> Step {
        let due = |end: Timestamp| now.plus(self.margin(end)) >= end;
        if !self.expires_at.is_some_and(due) {
            return Step::HandOver;
        }
        // A clock that went back does not hold up the next attempt.
        let pause = self.tried_at.filter(|tried| *tried <= now);
        let pause = pause.map_or(Millis(0), |tried| {
            Millis(PAUSE.0.saturating_sub(now.since(tried).0))
        });
        let can = self.renewable && !self.refused;
        match (can, self.lives(now)) {
            (true, _) if pause == Millis(0) => Step::Refresh,
            (_, true) => Step::HandOver,
            (true, false) => Step::Wait(pause),
            (false, false) if self.refused => Step::SignIn(Problem::Refused),
            (false, false) => Step::SignIn(Problem::Over),
        }
    }

    /// What the person is to know of it.
    #[must_use]
    pub fn problem(&self, now: Timestamp) -> Option<Problem> {
        match (self.refused, self.renewable || self.lives(now)) {
            (true, _) => Some(Problem::Refused),
            (false, false) => Some(Problem::Over),
            (false, true) => None,
        }
    }

    /// When whoever was handed the token asks again: once it is due, and before it ends.
    #[must_use]
    pub fn ask_again_in(&self, now: Timestamp) -> Millis {
        let Some(end) = self.expires_at else {
            return UNKNOWN_END;
        };
        let left = end.since(now).0;
        let early = left.saturating_sub(self.margin(end).0);
        // Past the margin the token in hand is what there is: at half of what is left of it.
        let again = if early > 0 { early } else { left / 2 };
        Millis(again.clamp(SOONEST.0, UNKNOWN_END.0))
    }
}

/// What a provider answered to a refresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answered {
    /// With new tokens.
    Refreshed,
    /// No, for good.
    Refused,
    /// Nothing that settles it.
    Failed,
}

/// What an answer's status means. A busy or broken provider refuses nothing.
#[must_use]
pub const fn answered(status: u16) -> Answered {
    match status {
        200..=299 => Answered::Refreshed,
        400 | 401 | 403 => Answered::Refused,
        _ => Answered::Failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: Timestamp = Timestamp(1_000_000_000);

    fn standing(left: i64, renewable: bool, tried_ago: Option<u64>, refused: bool) -> Standing {
        let end = NOW.0.checked_add_signed(left).unwrap();
        Standing {
            since: Timestamp(NOW.0 - Millis::hours(2).0),
            expires_at: Some(Timestamp(end)),
            renewable,
            tried_at: tried_ago.map(|ago| Timestamp(NOW.0 - ago)),
            refused,
        }
    }

    #[test]
    fn each_line_of_the_table() {
        let (soon, over) = (60_000, -1);
        for (standing, step) in [
            (standing(700_000, true, None, false), Step::HandOver),
            (standing(700_000, false, None, true), Step::HandOver),
            (Standing::default(), Step::HandOver),
            (standing(soon, true, None, false), Step::Refresh),
            (standing(soon, true, Some(60_000), false), Step::Refresh),
            (standing(soon, true, Some(59_000), false), Step::HandOver),
            (standing(soon, true, None, true), Step::HandOver),
            (standing(soon, false, None, false), Step::HandOver),
            (standing(over, true, None, false), Step::Refresh),
            (
                standing(over, true, Some(20_000), false),
                Step::Wait(Millis(40_000)),
            ),
            (
                standing(over, true, None, true),
                Step::SignIn(Problem::Refused),
            ),
            (
                standing(over, false, None, false),
                Step::SignIn(Problem::Over),
            ),
        ] {
            assert_eq!(standing.step(NOW), step, "{standing:?}");
        }
        // One that was given for minutes is kept for half of them.
        let short = Standing {
            since: NOW,
            ..standing(60_000, true, None, false)
        };
        assert_eq!(short.step(NOW), Step::HandOver);
        assert_eq!(short.ask_again_in(NOW), Millis(30_000));
        assert_eq!(short.step(NOW.plus(Millis(30_000))), Step::Refresh);
        // One that was written down by a clock that has gone back since.
        let mut ahead = standing(over, true, None, false);
        ahead.tried_at = Some(NOW.plus(Millis::hours(1)));
        assert_eq!(ahead.step(NOW), Step::Refresh);
    }

    #[test]
    fn whoever_holds_a_token_asks_before_it_ends() {
        let asks = |left: u64| {
            let standing = standing(left as i64, true, None, false);
            standing.ask_again_in(NOW).0
        };
        assert_eq!(asks(Millis::minutes(40).0), Millis::minutes(30).0);
        assert_eq!(asks(Millis::minutes(8).0), Millis::minutes(4).0);
        assert_eq!(asks(Millis::hours(240).0), Millis::hours(1).0);
        assert_eq!(asks(1_000), 2_000);
        assert_eq!(
            Standing::default().ask_again_in(NOW),
            Millis::hours(1),
            "no known end"
        );
    }

    #[test]
    fn only_a_plain_no_is_for_good() {
        for (status, meaning) in [
            (200, Answered::Refreshed),
            (400, Answered::Refused),
            (401, Answered::Refused),
            (408, Answered::Failed),
            (429, Answered::Failed),
            (500, Answered::Failed),
            (529, Answered::Failed),
        ] {
            assert_eq!(answered(status), meaning);
        }
    }

    proptest! {
        #[test]
        fn a_token_that_lives_is_never_withheld_and_one_that_is_over_never_given(
            left in -900_000i64..900_000, renewable: bool, tried in proptest::option::of(0u64..120_000), refused: bool,
        ) {
            let standing = standing(left, renewable, tried, refused);
            match standing.step(NOW) {
                Step::HandOver => prop_assert!(standing.lives(NOW)),
                Step::Refresh => prop_assert!(renewable && !refused && tried.is_none_or(|ago| ago >= PAUSE.0)),
                Step::Wait(pause) => prop_assert!(!standing.lives(NOW) && pause.0 > 0 && pause <= PAUSE),
                Step::SignIn(problem) => {
                    prop_assert!(!standing.lives(NOW));
                    prop_assert_eq!(standing.problem(NOW), Some(problem));
                }
            }
        }
    }
}
