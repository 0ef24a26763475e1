//! The machine's clock and randomness, in the domain's words.
//!
//! Everything below this program takes time and entropy as arguments; here is
//! where they come from.

use sam_domain::time::{Timestamp, Turn};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Now, by the machine's clock.
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// Time since some moment in the past that no one can set and that counts while
/// the machine sleeps: what a lease is measured by. (Tokio's clock stands still
/// in a suspended machine, and the wall clock jumps when it is set.)
pub(crate) fn since_boot() -> Duration {
    #[cfg(target_os = "linux")]
    let clock = rustix::time::ClockId::Boottime;
    #[cfg(not(target_os = "linux"))]
    let clock = rustix::time::ClockId::Monotonic;
    let time = rustix::time::clock_gettime(clock);
    Duration::new(
        u64::try_from(time.tv_sec).unwrap_or(0),
        u32::try_from(time.tv_nsec).unwrap_or(0),
    )
}

/// A turn at this moment, with fresh entropy for the ids it mints.
pub(crate) fn turn() -> Turn {
    Turn::new(now(), entropy())
}

/// 64 random bits. A machine without a random source falls back to the clock
/// and the process id: ids must be distinct, they are not secrets.
pub(crate) fn entropy() -> u64 {
    getrandom::u64().unwrap_or_else(|_| now().0.rotate_left(20) ^ u64::from(std::process::id()))
}
