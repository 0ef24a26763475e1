//! Lines on standard error.
//!
//! One place writes them, so one place redacts them: nothing is logged that
//! did not pass through [`redact`]. What agents and models say is never logged.

use crate::secret::redact;
use std::collections::VecDeque;
use std::io::Write;
use std::sync::{Mutex, PoisonError};

/// Lines that are remembered.
const REMEMBERED: usize = 300;
/// Most characters of a remembered line.
const LINE: usize = 400;

static LAST: Mutex<VecDeque<String>> = Mutex::new(VecDeque::new());

/// The last lines, oldest first.
pub(crate) fn last() -> Vec<String> {
    let held = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    held.iter().cloned().collect()
}

fn remember(line: &str) {
    let mut held = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    if held.len() >= REMEMBERED {
        held.pop_front();
    }
    held.push_back(line.chars().take(LINE).collect());
}

/// Writes one line.
pub(crate) fn line(level: &str, text: &str) {
    let now = crate::clock::now().0 / 1000;
    let (hours, minutes, seconds) = (now / 3600 % 24, now / 60 % 60, now % 60);
    let text = redact(text).replace('\n', " ");
    let line = format!("{hours:02}:{minutes:02}:{seconds:02} {level} {text}");
    remember(&line);
    // A closed standard error must not stop the work.
    let _ = writeln!(std::io::stderr().lock(), "{line}");
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
