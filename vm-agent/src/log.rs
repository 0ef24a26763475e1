//! Lines on standard error.
//!
//! One place writes them, so one place redacts them: nothing is logged that
//! did not pass through [`redact`]. What agents and models say is never logged.

use crate::secret::redact;
use std::io::Write;

/// Writes one line.
pub(crate) fn line(level: &str, text: &str) {
    let now = crate::clock::now().0 / 1000;
    let (hours, minutes, seconds) = (now / 3600 % 24, now / 60 % 60, now % 60);
    let text = redact(text).replace('\n', " ");
    // A closed standard error must not stop the work.
    let _ = writeln!(
        std::io::stderr().lock(),
        "{hours:02}:{minutes:02}:{seconds:02} {level} {text}"
    );
}

/// Something a person may want to know.
macro_rules! info {
    ($($arg:tt)*) => { $crate::log::line("info ", &format!($($arg)*)) };
}

/// Something that went wrong and is being dealt with.
macro_rules! warning {
    ($($arg:tt)*) => { $crate::log::line("warn ", &format!($($arg)*)) };
}

pub(crate) use {info, warning};
