//! What a person is told of a limit that has come near.

use super::ledger::Warning;
use super::period::{self, Day};
use super::refusal::{HolderKind, LimitName};
use crate::conversation::row::{NoticeBody, NoticeLevel};
use crate::time::Timestamp;

impl Warning {
    /// The notice of it in a conversation whose calls are counted there.
    #[must_use]
    pub fn notice(&self, holder: HolderKind, now: Timestamp) -> NoticeBody {
        let (today, of) = (Day::of(now), |amount| self.limit.amount(amount));
        let (which, resets_at) = match self.limit {
            LimitName::DailyTokens => ("daily", today.next().start()),
            LimitName::MonthlyCost => ("monthly", today.month().next().first().start()),
            // Nobody is warned of a minute.
            LimitName::RequestsPerMinute => ("", period::end_of_minute(period::minute(now))),
        };
        let (whose, hint) = match holder {
            HolderKind::Person => (
                "Your",
                "What does not fit any more is refused until then. `sam budget` shows what is left.",
            ),
            HolderKind::Project => (
                "The project's",
                "What does not fit any more is refused until then. A maintainer can raise the limit.",
            ),
        };
        NoticeBody {
            level: NoticeLevel::Warning,
            code: "budget_near".to_owned(),
            text: format!(
                "{whose} {which} limit of {} is nearly used up: {} spent. It resets at {}.",
                of(self.allowed),
                of(self.spent),
                period::moment(resets_at)
            ),
            hint: Some(hint.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_warning_says_whose_how_much_and_until_when() {
        let said = |limit, holder| {
            let warning = Warning {
                limit,
                allowed: 10_000,
                spent: 8_100,
            };
            warning.notice(holder, Day(20_777).start()).text
        };
        assert_eq!(
            said(LimitName::DailyTokens, HolderKind::Person),
            "Your daily limit of 10,000 tokens is nearly used up: 8,100 tokens spent. \
             It resets at 2026-11-21 00:00 UTC."
        );
        assert_eq!(
            said(LimitName::MonthlyCost, HolderKind::Project),
            "The project's monthly limit of $0.01 is nearly used up: $0.0081 spent. \
             It resets at 2026-12-01 00:00 UTC."
        );
    }
}
