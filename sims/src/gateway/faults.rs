//! Faults that a test asks for: what goes wrong, and in which of the coming requests.
//!
//! Faults wait in a queue. A request takes the first fault whose conditions it meets; a fault that says `skip` lets
//! that many fitting requests pass first, and one that says `times` serves that many.

use serde::{Deserialize, Serialize};

/// What goes wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum FaultKind {
    /// Status 429 with `retry-after`, in seconds.
    RateLimit {
        /// Seconds until the limit resets.
        retry_after: u64,
    },
    /// A plain error status.
    Status {
        /// HTTP status code, 400 to 599.
        status: u16,
    },
    /// The connection breaks after this many chunks, without the end of the stream.
    Cut {
        /// Chunks sent first.
        after_chunks: usize,
    },
    /// The stream pauses after this many chunks until `POST /control/release`.
    Hold {
        /// Chunks sent first.
        after_chunks: usize,
    },
    /// The first byte of the body comes late.
    SlowFirstByte {
        /// Delay in milliseconds.
        ms: u64,
    },
}

/// A queued fault and the requests it fits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// What goes wrong.
    #[serde(flatten)]
    pub kind: FaultKind,
    /// Fitting requests that pass unharmed first.
    #[serde(default)]
    pub skip: u32,
    /// Requests that it serves before it leaves the queue.
    #[serde(default = "once")]
    pub times: u32,
    /// Only requests that offer tools (`true`) or none (`false`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tools: Option<bool>,
    /// Only requests whose messages contain this text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contains: Option<String>,
}

fn once() -> u32 {
    1
}

/// What a fault's conditions look at.
#[derive(Debug, Clone, Copy)]
pub(super) struct Features<'a> {
    /// Whether the request offers tools.
    pub tools: bool,
    /// The text of all its messages.
    pub text: &'a str,
}

/// Faults that have not happened yet, in the order in which they were asked for.
#[derive(Debug, Default)]
pub(super) struct FaultQueue {
    waiting: Vec<Fault>,
}

impl FaultQueue {
    /// Adds faults at the end.
    pub(super) fn extend(&mut self, faults: impl IntoIterator<Item = Fault>) {
        self.waiting
            .extend(faults.into_iter().filter(|fault| fault.times > 0));
    }

    /// Forgets all of them.
    pub(super) fn clear(&mut self) {
        self.waiting.clear();
    }

    /// What still waits.
    #[must_use]
    pub(super) fn waiting(&self) -> &[Fault] {
        &self.waiting
    }

    /// The fault that happens to this request, if one does.
    pub(super) fn take(&mut self, request: Features<'_>) -> Option<FaultKind> {
        let fits = |fault: &Fault| {
            fault.tools.is_none_or(|tools| tools == request.tools)
                && fault
                    .contains
                    .as_ref()
                    .is_none_or(|text| request.text.contains(text))
        };
        let at = self.waiting.iter().position(fits)?;
        let fault = self.waiting.get_mut(at)?;
        if fault.skip > 0 {
            fault.skip -= 1;
            return None;
        }
        fault.times -= 1;
        let kind = fault.kind.clone();
        if fault.times == 0 {
            self.waiting.remove(at);
        }
        Some(kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_waits_for_a_fitting_request() {
        let mut queue = FaultQueue::default();
        let faults: Vec<Fault> = serde_json::from_str(
            r#"[{"kind":"status","status":500,"skip":1,"times":2,"tools":true,"contains":"fix"}]"#,
        )
        .unwrap();
        queue.extend(faults);
        let with = |tools, text| Features { tools, text };
        assert_eq!(queue.take(with(false, "fix")), None);
        assert_eq!(queue.take(with(true, "look")), None);
        assert_eq!(queue.take(with(true, "fix")), None, "skipped");
        assert_eq!(
            queue.take(with(true, "fix")),
            Some(FaultKind::Status { status: 500 })
        );
        assert_eq!(
            queue.take(with(true, "fix")),
            Some(FaultKind::Status { status: 500 })
        );
        assert_eq!(queue.take(with(true, "fix")), None);
        assert!(queue.waiting().is_empty());
    }
}
