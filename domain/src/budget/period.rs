//! Days and months of UTC, and what a month will have cost.

use crate::time::{Millis, Timestamp};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

const DAY: u64 = 86_400_000;
const MINUTE: u64 = 60_000;

/// A day, as the number of days since 1970-01-01.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Day(pub u64);

/// A month, as the number of months since January 1970.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Month(pub u64);

/// Not a day written as `2026-11-20`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a day like 2026-11-20")]
pub struct NotADay;

impl Day {
    /// The day of a moment.
    #[must_use]
    pub const fn of(at: Timestamp) -> Self {
        Self(at.0 / DAY)
    }

    /// Its first moment.
    #[must_use]
    pub const fn start(self) -> Timestamp {
        Timestamp(self.0.saturating_mul(DAY))
    }

    /// The next day.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// Its month.
    #[must_use]
    pub const fn month(self) -> Month {
        let (year, month, _) = self.civil();
        Month(
            (year.saturating_sub(1970))
                .saturating_mul(12)
                .saturating_add(month - 1),
        )
    }

    /// Year, month and day of the month, by a calendar whose year begins in March.
    const fn civil(self) -> (u64, u64, u64) {
        // No date that people write lies beyond; the arithmetic below stays small.
        let days = if self.0 > 100_000_000 {
            100_000_000
        } else {
            self.0
        } + 719_468;
        let (era, of_era) = (days / 146_097, days % 146_097);
        let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year + year / 4 - year / 100);
        let shifted = (5 * of_year + 2) / 153;
        let day = of_year - (153 * shifted + 2) / 5 + 1;
        let month = if shifted < 10 {
            shifted + 3
        } else {
            shifted - 9
        };
        let year = year + era * 400 + if month <= 2 { 1 } else { 0 };
        (year, month, day)
    }

    const fn of_civil(year: u64, month: u64, day: u64) -> Self {
        let year = if month <= 2 { year - 1 } else { year };
        let (era, of_era) = (year / 400, year % 400);
        let shifted = if month > 2 { month - 3 } else { month + 9 };
        let of_year = (153 * shifted + 2) / 5 + day - 1;
        let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year;
        Self(days.saturating_sub(719_468))
    }
}

impl Month {
    /// Its first day.
    #[must_use]
    pub const fn first(self) -> Day {
        // As far as days go.
        let months = if self.0 > 3_000_000 {
            3_000_000
        } else {
            self.0
        };
        Day::of_civil(1970 + months / 12, months % 12 + 1, 1)
    }

    /// The next month.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// What `spent` from the month's beginning until `now` comes to at its end, if it goes on like
    /// this. The first day counts as a whole one, so that the first call of a month foretells no
    /// fortune.
    #[must_use]
    pub fn forecast(self, spent: u64, now: Timestamp) -> u64 {
        let (start, end) = (self.first().start(), self.next().first().start());
        let length = end.since(start).0.max(1);
        let elapsed = now.since(start).0.clamp(DAY.min(length), length);
        let total = u128::from(spent) * u128::from(length) / u128::from(elapsed);
        u64::try_from(total).unwrap_or(u64::MAX)
    }
}

/// The minute of a moment, as the number of minutes since 1970.
#[must_use]
pub const fn minute(at: Timestamp) -> u64 {
    at.0 / MINUTE
}

/// When a minute ends.
#[must_use]
pub const fn end_of_minute(minute: u64) -> Timestamp {
    Timestamp(minute.saturating_add(1).saturating_mul(MINUTE))
}

/// A moment as people read it: `2026-11-20 14:05 UTC`.
#[must_use]
pub fn moment(at: Timestamp) -> String {
    let within = Millis(at.0 % DAY).0 / MINUTE;
    format!("{} {:02}:{:02} UTC", Day::of(at), within / 60, within % 60)
}

/// A moment as RFC 3339 has it, with milliseconds: `2026-11-20T14:05:00.000Z`.
#[must_use]
pub fn rfc3339(at: Timestamp) -> String {
    let within = at.0 % DAY;
    let (hour, minute) = (within / 3_600_000, within / MINUTE % 60);
    let (second, millis) = (within / 1_000 % 60, within % 1_000);
    format!(
        "{}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z",
        Day::of(at)
    )
}

/// Reads a moment of RFC 3339, or one with a space between date and time; UTC when it names no
/// offset.
#[must_use]
pub fn read_rfc3339(text: &str) -> Option<Timestamp> {
    let (date, rest) = text.trim().split_at_checked(10)?;
    let day: Day = date.parse().ok()?;
    let rest = rest.strip_prefix(['T', 't', ' '])?;
    let (clock, offset) = match rest.find(['Z', 'z', '+', '-']) {
        Some(at) => rest.split_at_checked(at)?,
        None => (rest, "Z"),
    };
    let mut parts = clock.trim().splitn(3, ':');
    let mut number = |most: u64| {
        let part = parts.next()?;
        let value: u64 = (part.len() == 2).then(|| part.parse().ok()).flatten()?;
        (value <= most).then_some(value)
    };
    let (hour, minute) = (number(23)?, number(59)?);
    let (second, fraction) = match parts.next() {
        Some(rest) => rest.split_once('.').unwrap_or((rest, "0")),
        None => ("0", "0"),
    };
    let second: u64 = second.parse().ok().filter(|second| *second <= 60)?;
    if fraction.is_empty() || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let millis: u64 = format!("{fraction:0<3}").get(..3)?.parse().ok()?;
    let at = day.start().0 + hour * 3_600_000 + minute * MINUTE + second * 1_000 + millis;
    if offset.eq_ignore_ascii_case("z") {
        return Some(Timestamp(at));
    }
    let (sign, offset) = offset.split_at_checked(1)?;
    let (hours, minutes) = offset.split_once(':').or(offset.split_at_checked(2))?;
    let offset = (hours.parse::<u64>().ok()? * 60 + minutes.parse::<u64>().ok()?) * MINUTE;
    let at = match sign {
        "+" => at.checked_sub(offset)?,
        _ => at.checked_add(offset)?,
    };
    Some(Timestamp(at))
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.civil();
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

impl FromStr for Day {
    type Err = NotADay;

    fn from_str(text: &str) -> Result<Self, NotADay> {
        let mut parts = text.split('-').zip([4, 2, 2]).map(|(part, length)| {
            let digits = part.len() == length && part.bytes().all(|byte| byte.is_ascii_digit());
            digits.then(|| part.parse::<u64>().ok()).flatten()
        });
        let mut part = || parts.next().flatten().ok_or(NotADay);
        let (year, month, day) = (part()?, part()?, part()?);
        if year < 1970 || !(1..=12).contains(&month) || day == 0 {
            return Err(NotADay);
        }
        let found = Self::of_civil(year, month, day);
        // The thirty-first of a month that has none would be another day.
        (found.to_string() == text).then_some(found).ok_or(NotADay)
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, _) = self.first().civil();
        write!(f, "{year:04}-{month:02}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn days_and_months_are_those_of_the_calendar() {
        for (text, days) in [
            ("1970-01-01", 0),
            ("2000-02-29", 11_016),
            ("2026-11-20", 20_777),
        ] {
            assert_eq!(text.parse(), Ok(Day(days)));
            assert_eq!(Day(days).to_string(), text);
        }
        for none in [
            "2026-02-30",
            "2026-13-01",
            "26-1-1",
            "2026-11-20x",
            "",
            "1969-12-31",
        ] {
            assert_eq!(none.parse::<Day>(), Err(NotADay), "{none}");
        }
        let month = Day(20_777).month();
        assert_eq!(month.to_string(), "2026-11");
        assert_eq!(month.next().first().to_string(), "2026-12-01");
    }

    #[test]
    fn moments_are_written_and_read() {
        let at = Timestamp(20_777 * DAY + 14 * 3_600_000 + 5 * MINUTE + 6_007);
        assert_eq!(moment(at), "2026-11-20 14:05 UTC");
        assert_eq!(rfc3339(at), "2026-11-20T14:05:06.007Z");
        for same in [
            "2026-11-20T14:05:06.007Z",
            "2026-11-20 14:05:06.0071",
            "2026-11-20T16:05:06.007+02:00",
        ] {
            assert_eq!(read_rfc3339(same), Some(at), "{same}");
        }
        for none in [
            "",
            "2026-11-20",
            "2026-11-20T14",
            "2026-11-20T25:00:00Z",
            "x",
        ] {
            assert_eq!(read_rfc3339(none), None, "{none}");
        }
    }

    #[test]
    fn a_month_is_foretold_by_what_went() {
        let month = Day(20_777).month();
        let start = month.first().start();
        let at = |days: u64| start.plus(Millis::hours(24 * days));
        assert_eq!(month.forecast(300, at(10)), 900);
        assert_eq!(month.forecast(300, at(30)), 300);
        // An hour counts as a day.
        assert_eq!(month.forecast(1, start.plus(Millis::hours(1))), 30);
        assert_eq!(month.forecast(u64::MAX, at(1)), u64::MAX);
    }

    proptest! {
        #[test]
        fn days_come_back_as_they_went(days in 0u64..2_900_000) {
            let day = Day(days);
            prop_assert_eq!(day.to_string().parse(), Ok(day));
            prop_assert!(day.month().first() <= day && day < day.month().next().first());
        }

        #[test]
        fn moments_come_back_as_they_went(at in 0u64..253_402_300_000_000) {
            prop_assert_eq!(read_rfc3339(&rfc3339(Timestamp(at))), Some(Timestamp(at)));
        }

        #[test]
        fn nothing_makes_reading_panic(text in "[-0-9TZ:.+ ]{0,30}") {
            let _ = (read_rfc3339(&text), text.parse::<Day>());
        }
    }
}
