//! When to ask again, as answers say it in their headers and bodies.
//!
//! | where | form |
//! |---|---|
//! | `retry-after-ms` | milliseconds |
//! | `retry-after` | seconds, or an HTTP date |
//! | `x-ratelimit-reset-requests`, `-tokens` | a duration: `1.5s`, `6m0s`, `20ms` |
//! | `anthropic-ratelimit-*-reset` | RFC 3339, or Unix seconds |
//! | `error.resets_in_seconds`, `error.resets_at`, `retry_after` | seconds, Unix seconds, seconds |
//!
//! A limit of which something remains does not ask to wait, though its reset
//! stands beside the one that does.

use std::time::Duration;

use serde_json::Value;

/// The bases of pairs of a `remaining` and a `reset` header.
const BUCKETS: &[(&str, &str)] = &[
    (
        "x-ratelimit-remaining-requests",
        "x-ratelimit-reset-requests",
    ),
    ("x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"),
    (
        "anthropic-ratelimit-requests-remaining",
        "anthropic-ratelimit-requests-reset",
    ),
    (
        "anthropic-ratelimit-tokens-remaining",
        "anthropic-ratelimit-tokens-reset",
    ),
    (
        "anthropic-ratelimit-input-tokens-remaining",
        "anthropic-ratelimit-input-tokens-reset",
    ),
    (
        "anthropic-ratelimit-output-tokens-remaining",
        "anthropic-ratelimit-output-tokens-reset",
    ),
    (
        "anthropic-ratelimit-unified-remaining",
        "anthropic-ratelimit-unified-reset",
    ),
];

/// How long an answer's headers ask to wait.
///
/// `header` returns a header's value by its lower-case name; `now` is the Unix
/// time in seconds. What the server says outright counts before what follows
/// from its limits; of several exhausted limits the longest counts.
pub fn retry_after<'h>(header: impl Fn(&str) -> Option<&'h str>, now: u64) -> Option<Duration> {
    let millis = header("retry-after-ms")
        .and_then(|value| value.trim().parse::<f64>().ok())
        .and_then(|value| seconds(value / 1000.0));
    if millis.is_some() {
        return millis;
    }
    if let Some(value) = header("retry-after").map(str::trim) {
        let number = value.parse::<f64>().ok().and_then(seconds);
        let date = || http_date(value).map(|at| until(at, now));
        if let Some(wait) = number.or_else(date) {
            return Some(wait);
        }
    }
    let buckets = BUCKETS.iter().filter_map(|(remaining, reset)| {
        let reset = header(reset)?.trim();
        let wait = compound_duration(reset).or_else(|| instant(reset).map(|at| until(at, now)))?;
        let left = header(remaining).and_then(|left| left.trim().parse::<f64>().ok());
        Some((left, wait))
    });
    let buckets: Vec<_> = buckets.collect();
    let longest = |spent: bool| {
        let spent = buckets
            .iter()
            .filter(|(left, _)| !spent || *left == Some(0.0));
        spent.map(|(_, wait)| *wait).max()
    };
    longest(true).or_else(|| longest(false))
}

/// When an answer's headers ask to come back, in Unix milliseconds: the one
/// fact that [`retry_after`] finds, as a moment. `now` is in milliseconds.
pub fn retry_at<'h>(header: impl Fn(&str) -> Option<&'h str>, now: u64) -> Option<u64> {
    let wait = retry_after(header, now / 1000)?;
    Some(now.saturating_add(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)))
}

/// How long the body of an error asks to wait. A moment is counted from `now`,
/// in Unix seconds.
pub(crate) fn wait_in_body(error: &Value, now: Option<u64>) -> Option<Duration> {
    let number = |key: &str| error.get(key).and_then(Value::as_f64).and_then(seconds);
    let moment = || Some(until(error.get("resets_at")?.as_u64()?, now?));
    number("retry_after")
        .or_else(|| number("resets_in_seconds"))
        .or_else(moment)
}

fn until(at: u64, now: u64) -> Duration {
    Duration::from_secs(at.saturating_sub(now))
}

fn seconds(value: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(value).ok()
}

/// `1h2m3.5s`, `20ms`.
fn compound_duration(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut total = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at_checked(digits)?;
        let unit_end = after
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(after.len());
        let (unit, after) = after.split_at_checked(unit_end)?;
        let factor = match unit {
            "ms" => 0.001,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            "d" => 86_400.0,
            _ => return None,
        };
        total += number.parse::<f64>().ok()? * factor;
        rest = after;
    }
    (!text.is_empty()).then(|| seconds(total)).flatten()
}

/// `Sun, 06 Nov 1994 08:49:37 GMT` as Unix seconds.
fn http_date(text: &str) -> Option<u64> {
    let mut parts = text.split_ascii_whitespace().skip(1);
    let day: u64 = parts.next()?.parse().ok()?;
    let month = parts.next()?;
    let months = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let month = u64::try_from(months.iter().position(|name| *name == month)?).ok()? + 1;
    let year: u64 = parts.next()?.parse().ok()?;
    let mut clock = parts
        .next()?
        .split(':')
        .map(|part| part.parse::<u64>().ok());
    let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
    Some(unix_days(year, month, day)? * 86_400 + hour * 3600 + minute * 60 + second)
}

/// Days since 1970, by a calendar whose year begins in March.
fn unix_days(year: u64, month: u64, day: u64) -> Option<u64> {
    if !(1970..10_000).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let (y, m) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let days = 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day;
    days.checked_sub(719_469)
}

/// `2026-01-31T12:00:00Z`, with an offset and fractions perhaps, or Unix
/// seconds, as Unix seconds.
fn instant(text: &str) -> Option<u64> {
    if let Ok(at) = text.parse::<u64>() {
        return Some(at);
    }
    let (date, time) = text.split_once(['T', 't', ' '])?;
    let mut date = date.splitn(3, '-').map(|part| part.parse::<u64>().ok());
    let days = unix_days(date.next()??, date.next()??, date.next()??)?;
    let zone = time.find(['Z', 'z', '+', '-'])?;
    let (clock, zone) = time.split_at_checked(zone)?;
    let mut clock = clock.splitn(3, ':');
    let (hour, minute) = (
        clock.next()?.parse::<u64>().ok()?,
        clock.next()?.parse::<u64>().ok()?,
    );
    // A fraction is rounded up: better a moment late than early.
    let second = clock.next()?.parse::<f64>().ok().and_then(seconds)?;
    let second = second.as_secs() + u64::from(second.subsec_nanos() > 0);
    if hour > 24 || minute > 60 || second > 61 {
        return None;
    }
    let local = days * 86_400 + hour * 3600 + minute * 60 + second;
    let (hours, minutes) = zone.get(1..)?.split_once(':').unwrap_or(("0", "0"));
    let offset =
        hours.parse::<u64>().ok()?.min(24) * 3600 + minutes.parse::<u64>().ok()?.min(60) * 60;
    if zone.starts_with('-') {
        Some(local + offset)
    } else {
        local.checked_sub(offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 784_111_770;

    fn wait(name: &str, value: &str) -> Option<f64> {
        retry_after(|n| (n == name).then_some(value), NOW).map(|d| d.as_secs_f64())
    }

    #[test]
    fn waits() {
        assert_eq!(wait("retry-after", "2"), Some(2.0));
        assert_eq!(wait("retry-after", "0.5"), Some(0.5));
        assert_eq!(wait("retry-after-ms", "250"), Some(0.25));
        assert_eq!(
            wait("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT"),
            Some(7.0)
        );
        assert_eq!(
            wait("retry-after", "Sun, 06 Nov 1994 08:49:00 GMT"),
            Some(0.0),
            "past"
        );
        assert_eq!(wait("x-ratelimit-reset-requests", "6m0.5s"), Some(360.5));
        assert_eq!(wait("x-ratelimit-reset-tokens", "20ms"), Some(0.02));
        for nonsense in ["", "soon", "-1", "1x", "m", "NaN"] {
            assert_eq!(wait("retry-after", nonsense), None, "{nonsense}");
            assert_eq!(
                wait("x-ratelimit-reset-tokens", nonsense),
                None,
                "{nonsense}"
            );
        }
    }

    fn wait_of(headers: &[(&str, &str)]) -> Option<f64> {
        let header = |name: &str| headers.iter().find(|(n, _)| *n == name).map(|(_, v)| *v);
        retry_after(header, NOW).map(|wait| wait.as_secs_f64())
    }

    #[test]
    fn of_several_limits_the_exhausted_one_counts() {
        let reset = "anthropic-ratelimit-tokens-reset";
        for (value, expected) in [
            ("1994-11-06T08:49:40Z", Some(10.0)),
            ("1994-11-06T08:49:40.5Z", Some(11.0)),
            ("1994-11-06T09:49:40+01:00", Some(10.0)),
            ("1994-11-06T07:49:40-01:00", Some(10.0)),
            ("784111780", Some(10.0)),
            ("1994-11-06T08:49:00Z", Some(0.0)),
            ("1994-13-06T08:49:40Z", None),
            ("1994-11-06", None),
            ("1994-11-06T08:49:40", None),
            ("T", None),
        ] {
            assert_eq!(wait_of(&[(reset, value)]), expected, "{value}");
        }
        let limits = [
            ("anthropic-ratelimit-requests-remaining", "0"),
            ("anthropic-ratelimit-requests-reset", "1994-11-06T08:49:35Z"),
            ("anthropic-ratelimit-tokens-remaining", "500"),
            ("anthropic-ratelimit-tokens-reset", "1994-11-06T08:59:30Z"),
        ];
        assert_eq!(wait_of(&limits), Some(5.0));
        assert_eq!(
            wait_of(&[("retry-after", "3"), (reset, "1994-11-06T08:49:40Z")]),
            Some(3.0)
        );
    }

    #[test]
    fn a_moment_is_in_milliseconds() {
        let header = |name: &str| (name == "retry-after-ms").then_some("1500");
        assert_eq!(retry_at(header, 10_000), Some(11_500));
    }
}
