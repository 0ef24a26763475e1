//! Waiting for conditions, never for time.

use std::time::{Duration, Instant};

use crate::{Result, failure};

/// How often a condition is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Looks until `condition` gives a value, and returns it. A look that fails counts as "not yet", and
/// the last failure is told when the time is up.
///
/// # Errors
/// Names `what` when it has not come within `deadline`.
pub async fn wait_until<T, F>(
    what: &str,
    deadline: Duration,
    mut condition: impl FnMut() -> F,
) -> Result<T>
where
    F: Future<Output = Result<Option<T>>>,
{
    let begun = Instant::now();
    loop {
        let last = match condition().await {
            Ok(Some(value)) => return Ok(value),
            Ok(None) => String::new(),
            Err(error) => format!("; the last look failed: {error}"),
        };
        if begun.elapsed() > deadline {
            return Err(failure(format!("{what}: not within {deadline:?}{last}")));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Waits for one future at most as long as given.
///
/// # Errors
/// Names `what` when the time is up.
pub async fn within<T>(
    what: &str,
    deadline: Duration,
    future: impl Future<Output = T>,
) -> Result<T> {
    tokio::time::timeout(deadline, future)
        .await
        .map_err(|_| failure(format!("{what}: not within {deadline:?}")))
}
