//! What bounds a turn and a conversation, and how a turn ended.

use std::time::Duration;

use sam_dialects::Usage;
use sam_domain::catalogue::price::MicroDollars;

use crate::cli::{Compaction, ModelArgs};

/// Of the model's context, how much a conversation may take before it is
/// compacted. The rest is for the reply and for what is not counted exactly.
const FULL: u64 = 80;
/// Of the model's context, how much a compacted conversation may take.
const COMPACTED: u64 = 50;
/// Bytes of a request for ten of its tokens, as long as no upstream has
/// counted any.
const BYTES_OF_TEN: u64 = 35;

/// Why a turn ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum TurnEnd {
    /// The model called no more tools.
    #[default]
    Complete,
    /// The model ran out of output.
    MaxTokens,
    /// The limit on model requests was reached.
    MaxTurns,
    /// The time was up.
    MaxSeconds,
    /// The limit on tokens was reached.
    MaxTotalTokens,
    /// The limit on what it may cost was reached.
    MaxCost,
    /// The same calls gave the same results too often.
    Repeating,
    /// The model's answer was withheld.
    Refused,
    /// Cancelled.
    Cancelled,
}

impl TurnEnd {
    /// The end as a word for programs.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Complete => "end_turn",
            Self::MaxTokens => "max_tokens",
            Self::MaxTurns => "max_turns",
            Self::MaxSeconds => "max_seconds",
            Self::MaxTotalTokens => "max_total_tokens",
            Self::MaxCost => "max_cost",
            Self::Repeating => "repeating",
            Self::Refused => "refusal",
            Self::Cancelled => "cancelled",
        }
    }
}

/// What bounds a turn, and the conversation it belongs to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Model requests.
    requests: u32,
    /// How long the turn may take.
    pub(crate) time: Option<Duration>,
    tokens: Option<u64>,
    cost: Option<MicroDollars>,
    /// How often the same calls may give the same results.
    pub(crate) repeats: u32,
    /// The model's context in tokens.
    window: u64,
    compaction: Compaction,
}

impl From<&ModelArgs> for Limits {
    fn from(args: &ModelArgs) -> Self {
        Self {
            requests: args.max_turns,
            time: args.max_seconds.map(Duration::from_secs),
            tokens: args.max_total_tokens,
            cost: args.max_cost,
            repeats: args.max_repeats,
            window: args.context_window,
            compaction: args.compaction,
        }
    }
}

impl Limits {
    /// The limit that a turn has reached before its next request, if any.
    pub(crate) fn reached(&self, summary: &TurnSummary) -> Option<TurnEnd> {
        if summary.requests == self.requests {
            return Some(TurnEnd::MaxTurns);
        }
        let tokens = summary.usage.total.saturating_add(summary.estimated);
        if self.tokens.is_some_and(|most| tokens >= most) {
            return Some(TurnEnd::MaxTotalTokens);
        }
        let spent = self.cost.zip(summary.cost);
        let spent = spent.is_some_and(|(most, cost)| cost >= most);
        spent.then_some(TurnEnd::MaxCost)
    }

    /// Why a turn ended, in words; nothing for an end that is no limit of ours.
    pub(crate) fn words(&self, end: TurnEnd) -> Option<String> {
        Some(match end {
            TurnEnd::MaxTurns => format!("the limit of {} model requests", self.requests),
            TurnEnd::MaxSeconds => {
                format!("the limit of {} s", self.time.unwrap_or_default().as_secs())
            }
            TurnEnd::MaxTotalTokens => {
                format!("the limit of {} tokens", self.tokens.unwrap_or_default())
            }
            TurnEnd::MaxCost => {
                format!("the limit of {}", dollars(self.cost.unwrap_or_default()))
            }
            TurnEnd::Repeating => format!(
                "the same calls gave the same results {} times in a row",
                self.repeats
            ),
            TurnEnd::Complete | TurnEnd::MaxTokens | TurnEnd::Refused | TurnEnd::Cancelled => {
                return None;
            }
        })
    }

    /// Whether a request of so many bytes is too long to be sent as it is.
    /// `measured` is an earlier request: its bytes and its tokens.
    pub(crate) fn compacts_at(&self, bytes: u64, measured: Option<(u64, u64)>) -> bool {
        self.compaction == Compaction::Auto && bytes > self.share(FULL, measured)
    }

    /// The bytes that a compacted request may have.
    pub(crate) fn room(&self, measured: Option<(u64, u64)>) -> u64 {
        self.share(COMPACTED, measured)
    }

    /// The bytes of a request that fills so many hundredths of the context.
    fn share(&self, percent: u64, measured: Option<(u64, u64)>) -> u64 {
        let (bytes, tokens) = measured
            .filter(|(_, tokens)| *tokens > 0)
            .unwrap_or((BYTES_OF_TEN, 10));
        // An upstream that counts oddly must not make us trust it: a token is
        // between one byte and eight.
        let (least, most) = (tokens, tokens.saturating_mul(8));
        let bytes = bytes.clamp(least, most);
        let share = u128::from(self.window) * u128::from(percent) * u128::from(bytes);
        u64::try_from(share / 100 / u128::from(tokens)).unwrap_or(u64::MAX)
    }
}

/// About what a reply took, by the bytes of its request and its own, where the
/// upstream did not count.
pub(crate) fn estimated(sent: u64, received: u64) -> Usage {
    let tokens = |bytes: u64| bytes.saturating_mul(10) / BYTES_OF_TEN;
    Usage {
        input: tokens(sent),
        output: tokens(received),
        total: tokens(sent.saturating_add(received)),
        ..Usage::default()
    }
}

/// An amount of money for people.
pub(crate) fn dollars(amount: MicroDollars) -> String {
    let text = format!("{}.{:06}", amount / 1_000_000, amount % 1_000_000);
    let cents = text.len() - 4;
    let fine = text.get(cents..).unwrap_or_default().trim_end_matches('0');
    format!("${}{fine}", text.get(..cents).unwrap_or_default())
}

/// A turn that ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct TurnSummary {
    pub(crate) end: TurnEnd,
    /// The last message.
    pub(crate) text: String,
    /// Model requests that gave a reply.
    pub(crate) requests: u32,
    /// Tools run.
    pub(crate) tool_calls: u32,
    /// Over all replies.
    pub(crate) usage: Usage,
    /// What they cost, where the model's price is known.
    pub(crate) cost: Option<MicroDollars>,
    /// Tokens of replies whose upstream counted none, estimated; they count
    /// for limits alone.
    pub(crate) estimated: u64,
    /// Tokens of the conversation at its end, when the upstream tells.
    pub(crate) context: Option<u64>,
    /// Reads of files.
    pub(crate) reads: u64,
    /// Of these, reads of lines that had been shown and have not changed since.
    pub(crate) rereads: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(window: u64) -> Limits {
        Limits {
            requests: 1,
            time: None,
            tokens: None,
            cost: None,
            repeats: 10,
            window,
            compaction: Compaction::Auto,
        }
    }

    #[test]
    fn a_request_is_too_long_by_what_the_upstream_counts() {
        let check = |bytes, measured, expected| {
            assert_eq!(
                limits(1000).compacts_at(bytes, measured),
                expected,
                "{bytes} {measured:?}"
            );
        };
        // Nobody has counted: 3.5 bytes a token.
        check(2800, None, false);
        check(2801, None, true);
        check(1600, Some((2000, 1000)), false);
        check(1601, Some((2000, 1000)), true);
        // Counts that cannot be are bounded.
        check(800, Some((10, 1000)), false);
        check(6400, Some((1_000_000, 1)), false);
        check(6401, Some((1_000_000, 1)), true);
        let off = Limits {
            compaction: Compaction::Off,
            ..limits(10)
        };
        assert!(!off.compacts_at(1_000_000, None));
    }

    #[test]
    fn money_is_written_as_people_do() {
        for (amount, expected) in [
            (0, "$0.00"),
            (1, "$0.000001"),
            (500_000, "$0.50"),
            (12_345_600, "$12.3456"),
        ] {
            assert_eq!(dollars(amount), expected);
        }
    }
}
