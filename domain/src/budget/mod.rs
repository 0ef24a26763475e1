//! Money is reserved before it is spent.
//!
//! Model: each person and each project has a [`ledger::Ledger`]. Before a model call the most that
//! it can use is reserved, in the person's ledger and then in the project's; what does not fit is
//! refused, and a refusal of the second releases the first. After the call the reservation is
//! settled to what the provider reported. A call of which nothing is reported counts in full, until
//! the provider's own records say better ([`reconcile`]). Long calls renew their reservation; one
//! that is not renewed expires, and counts in full.
//!
//! Invariants:
//! - Of calls that were reserved, spent and reserved together never exceed a limit, in any order of
//!   reserving, settling, renewing, expiring and repeating.
//! - A settlement is never more than its reservation, and takes effect once; a report that comes
//!   after the expiry corrects it, once.
//! - A call belongs to the day on which it was reserved.
//! - Periods are those of UTC: a day, a month, a minute of the calendar.
//!
//! What it refuses to know: where calls go, and how a provider's report looks.

pub mod call;
pub mod ledger;
pub mod period;
pub mod reconcile;
pub mod refusal;
mod warning;
pub mod wire;

use crate::catalogue::price::MicroDollars;
use serde::{Deserialize, Serialize};

/// What may be used. Absent means: without limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Tokens a day, input and output together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub daily_tokens: Option<u64>,
    /// Micro-dollars a month.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub monthly_cost: Option<MicroDollars>,
    /// Model calls a minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests_per_minute: Option<u64>,
}

impl Limits {
    /// No limit at all.
    pub const NONE: Self = Self {
        daily_tokens: None,
        monthly_cost: None,
        requests_per_minute: None,
    };

    /// Whether anything is limited.
    #[must_use]
    pub const fn is_limited(&self) -> bool {
        self.daily_tokens.is_some()
            || self.monthly_cost.is_some()
            || self.requests_per_minute.is_some()
    }

    /// What holds when both hold: the lower of each.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let lower = |one: Option<u64>, other: Option<u64>| match (one, other) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
        Self {
            daily_tokens: lower(self.daily_tokens, other.daily_tokens),
            monthly_cost: lower(self.monthly_cost, other.monthly_cost),
            requests_per_minute: lower(self.requests_per_minute, other.requests_per_minute),
        }
    }
}

/// What a call uses, or may use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Charge {
    /// Tokens, input and output together.
    pub tokens: u64,
    /// Micro-dollars.
    pub cost: MicroDollars,
}

impl Charge {
    /// At most `most`, of each.
    #[must_use]
    pub fn at_most(self, most: Self) -> Self {
        Self {
            tokens: self.tokens.min(most.tokens),
            cost: self.cost.min(most.cost),
        }
    }
}

/// Money as people read it: `$1.50`, and as many digits as it takes below a cent.
#[must_use]
pub fn dollars(amount: MicroDollars) -> String {
    let (whole, rest) = (amount / 1_000_000, amount % 1_000_000);
    let digits = format!("{rest:06}");
    let digits = digits.trim_end_matches('0');
    format!("${}.{digits:0<2}", grouped(whole))
}

/// A number with its thousands apart.
#[must_use]
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_and_numbers_are_readable() {
        for (amount, text) in [
            (0, "$0.00"),
            (1_500_000, "$1.50"),
            (12_345_678_000_000, "$12,345,678.00"),
            (123, "$0.000123"),
            (1_234_500, "$1.2345"),
        ] {
            assert_eq!(dollars(amount), text);
        }
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1_000), "1,000");
    }

    #[test]
    fn of_two_limits_the_lower_holds() {
        let one = Limits {
            daily_tokens: Some(5),
            requests_per_minute: Some(2),
            ..Limits::NONE
        };
        let other = Limits {
            daily_tokens: Some(3),
            monthly_cost: Some(7),
            ..Limits::NONE
        };
        let both = Limits {
            daily_tokens: Some(3),
            monthly_cost: Some(7),
            requests_per_minute: Some(2),
        };
        assert_eq!(one.and(other), both);
        assert!(!Limits::NONE.is_limited() && both.is_limited());
    }
}
