//! Why a call is not made, with the numbers.

use super::{dollars, grouped, period};
use crate::time::{Millis, Timestamp};
use serde::{Deserialize, Serialize};

/// When a call that was refused for others under way may be tried again.
const SOON: Millis = Millis::seconds(5);

/// What is limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum LimitName {
    /// Tokens a day.
    DailyTokens,
    /// Micro-dollars a month.
    MonthlyCost,
    /// Calls a minute.
    RequestsPerMinute,
}

impl LimitName {
    /// The name, as on the wire.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::DailyTokens => "daily_tokens",
            Self::MonthlyCost => "monthly_cost",
            Self::RequestsPerMinute => "requests_per_minute",
        }
    }

    /// An amount of it, for people.
    #[must_use]
    pub fn amount(self, amount: u64) -> String {
        match self {
            Self::DailyTokens => format!("{} tokens", grouped(amount)),
            Self::MonthlyCost => dollars(amount),
            Self::RequestsPerMinute => format!("{} calls", grouped(amount)),
        }
    }
}

/// Whose limit it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum HolderKind {
    /// A person's.
    Person,
    /// A project's.
    Project,
}

/// When waiting helps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Clears {
    /// When calls under way end: what they have reserved is in the way, not what was spent.
    Soon,
    /// When the period ends.
    AtReset,
    /// Never: the call may use more than the whole limit.
    Never,
}

/// Why a call is not made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Refusal {
    /// Whose limit.
    pub holder: HolderKind,
    /// Which.
    pub limit: LimitName,
    /// What it is.
    pub allowed: u64,
    /// What is spent of it.
    pub spent: u64,
    /// What calls under way have reserved.
    pub reserved: u64,
    /// What this call may need.
    pub asked: u64,
    /// When the period ends.
    pub resets_at: Timestamp,
    /// When waiting helps.
    pub clears: Clears,
}

impl Refusal {
    /// When it is worth trying again; none when it never is.
    #[must_use]
    pub fn retry_at(&self, now: Timestamp) -> Option<Timestamp> {
        match self.clears {
            Clears::Soon => Some(now.plus(SOON).min(self.resets_at)),
            Clears::AtReset => Some(self.resets_at),
            Clears::Never => None,
        }
    }

    /// What happened, in a sentence or two.
    #[must_use]
    pub fn message(&self) -> String {
        let whose = match self.holder {
            HolderKind::Person => "Your",
            HolderKind::Project => "The project's",
        };
        let which = match self.limit {
            LimitName::DailyTokens => "daily limit",
            LimitName::MonthlyCost => "monthly limit",
            LimitName::RequestsPerMinute => "limit a minute",
        };
        let of = |amount| self.limit.amount(amount);
        let mut text = format!(
            "{whose} {which} of {} does not cover this call: {} spent, ",
            of(self.allowed),
            of(self.spent)
        );
        if self.reserved > 0 {
            text.push_str(&format!(
                "{} reserved by calls under way, ",
                of(self.reserved)
            ));
        }
        text.push_str(&format!(
            "up to {} needed. It resets at {}.",
            of(self.asked),
            period::moment(self.resets_at)
        ));
        text
    }

    /// What one can do about it.
    #[must_use]
    pub const fn hint(&self) -> &'static str {
        match (self.clears, self.holder) {
            (Clears::Soon, _) => "It fits once calls under way have ended; try again in a moment.",
            (Clears::Never, HolderKind::Person) => {
                "It never fits: name a lower output limit, or raise the limit with `sam budget set`."
            }
            (Clears::Never, HolderKind::Project) => {
                "It never fits: name a lower output limit, or ask a maintainer to raise the limit."
            }
            (Clears::AtReset, HolderKind::Person) => {
                "Wait for the reset, or raise the limit with `sam budget set`."
            }
            (Clears::AtReset, HolderKind::Project) => {
                "Wait for the reset, or ask a maintainer to raise the project's limit."
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_the_numbers_and_the_reset() {
        let mut refusal = Refusal {
            holder: HolderKind::Person,
            limit: LimitName::DailyTokens,
            allowed: 10_000,
            spent: 4_000,
            reserved: 5_000,
            asked: 2_100,
            resets_at: period::Day(20_778).start(),
            clears: Clears::Soon,
        };
        assert_eq!(
            refusal.message(),
            "Your daily limit of 10,000 tokens does not cover this call: 4,000 tokens spent, \
             5,000 tokens reserved by calls under way, up to 2,100 tokens needed. \
             It resets at 2026-11-21 00:00 UTC."
        );
        let now = period::Day(20_777).start();
        assert_eq!(refusal.retry_at(now), Some(now.plus(SOON)));
        refusal.clears = Clears::AtReset;
        assert_eq!(refusal.retry_at(now), Some(refusal.resets_at));
        refusal.clears = Clears::Never;
        assert_eq!(refusal.retry_at(now), None);
    }
}
