//! Times as people read them.

use sam_domain::time::{Millis, Timestamp};
use std::time::{SystemTime, UNIX_EPOCH};

/// Now, by this machine's clock.
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// A span: `0.4 s`, `12.3 s`, `2 min 05 s`, `1 h 02 min`.
pub(crate) fn span(span: Millis) -> String {
    let seconds = span.0 / 1_000;
    match seconds {
        0..60 => format!("{seconds}.{} s", span.0 % 1_000 / 100),
        60..3_600 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        _ => format!("{} h {:02} min", seconds / 3_600, seconds % 3_600 / 60),
    }
}

/// How long ago: `just now`, `5 min ago`, `3 h ago`, `2 d ago`.
pub(crate) fn ago(then: Timestamp, now: Timestamp) -> String {
    let seconds = now.since(then).0 / 1_000;
    match seconds {
        0..60 => "just now".to_owned(),
        60..3_600 => format!("{} min ago", seconds / 60),
        3_600..86_400 => format!("{} h ago", seconds / 3_600),
        _ => format!("{} d ago", seconds / 86_400),
    }
}

/// How long until: `in 15 min`, `in 3 h`, `in 30 d`; `now` when it is past.
pub(crate) fn until(then: Timestamp, now: Timestamp) -> String {
    let minutes = then.since(now).0.div_ceil(60_000);
    match minutes {
        0 => "now".to_owned(),
        1..60 => format!("in {minutes} min"),
        60..2_880 => format!("in {} h", minutes.div_ceil(60)),
        _ => format!("in {} d", minutes.div_ceil(1_440)),
    }
}

/// A count with separators: `1,234,567`.
pub(crate) use sam_domain::budget::grouped as count;

/// A size in bytes: `512 MB`, `16 GB`.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [(&str, u64); 4] = [
        ("TB", 1 << 40),
        ("GB", 1 << 30),
        ("MB", 1 << 20),
        ("kB", 1 << 10),
    ];
    for (unit, factor) in UNITS {
        if bytes >= factor {
            return format!("{} {unit}", (bytes + factor / 2) / factor);
        }
    }
    format!("{bytes} B")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_and_counts_read_well() {
        for (millis, wanted) in [
            (0, "0.0 s"),
            (449, "0.4 s"),
            (12_345, "12.3 s"),
            (125_000, "2 min 05 s"),
            (3_720_000, "1 h 02 min"),
        ] {
            assert_eq!(span(Millis(millis)), wanted);
        }
        for (n, wanted) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(count(n), wanted);
        }
        assert_eq!(ago(Timestamp(0), Timestamp(7_200_000)), "2 h ago");
        for (millis, wanted) in [
            (0, "now"),
            (900_000, "in 15 min"),
            (172_740_000, "in 48 h"),
            (172_800_000, "in 2 d"),
            (2_592_000_000, "in 30 d"),
        ] {
            assert_eq!(until(Timestamp(millis), Timestamp(0)), wanted);
        }
        assert_eq!(size(16 << 30), "16 GB");
    }
}
