//! Replies of a transcript in the place of a model.
//!
//! Each is given to the request that stands in its turn, and the request is
//! held against the one that was sent then: what differs is remembered.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use sam_dialects::Usage;
use sam_dialects::conversation::{Body, Part, Reply, ReplyEvent};
use sam_harness::transcript::Digest;
use sha2::{Digest as _, Sha256};

use crate::model::{FaultKind, ModelError, ReplySink};
use crate::notice;
use crate::tools::hexadecimal;

/// One reply, as it was recorded.
#[derive(Debug)]
pub(crate) struct RecordedReply {
    pub(crate) number: u64,
    pub(crate) parts: Vec<Part>,
    pub(crate) usage: Option<Usage>,
    pub(crate) stop: Option<String>,
    pub(crate) request: Option<Digest>,
    pub(crate) came: Came,
}

/// How a reply came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Came {
    Whole,
    Broken,
    Cancelled,
    /// It did not: the request was refused as too long.
    RefusedAsTooLong,
}

impl RecordedReply {
    /// A reply that did not come whole, of which nothing was shown.
    pub(crate) fn without(number: u64, came: Came) -> Self {
        Self {
            number,
            parts: Vec::new(),
            usage: None,
            stop: None,
            request: None,
            came,
        }
    }
}

/// Replies in their order.
#[derive(Debug)]
pub(crate) struct Recorded {
    state: Mutex<(VecDeque<RecordedReply>, Vec<String>)>,
}

impl Recorded {
    pub(crate) fn new(replies: impl IntoIterator<Item = RecordedReply>) -> Self {
        Self {
            state: Mutex::new((replies.into_iter().collect(), Vec::new())),
        }
    }

    /// How requests differed from those that were sent then.
    pub(crate) fn differences(&self) -> Vec<String> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let mut differences = state.1.clone();
        if !state.0.is_empty() {
            differences.push(format!(
                "{} recorded replies were not asked for",
                state.0.len()
            ));
        }
        differences
    }

    /// The next reply.
    pub(crate) fn reply(&self, body: &[u8], sink: &mut dyn ReplySink) -> Result<Reply, ModelError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(reply) = state.0.pop_front() else {
            state.1.push("a request has no recorded reply".to_owned());
            return Err(ModelError::Cancelled);
        };
        if let Some(sent) = &reply.request
            && sent.sha256 != hexadecimal(&Sha256::digest(body))
        {
            let (number, then, now) = (reply.number, sent.bytes, body.len());
            state.1.push(format!(
                "request {number} is not the one that was sent then: {now} bytes instead of {then}"
            ));
        }
        drop(state);
        for part in &reply.parts {
            match &part.body {
                Body::Text(text) => sink.delta(&ReplyEvent::Text(text.clone())),
                Body::Refusal(text) => sink.delta(&ReplyEvent::Refusal(text.clone())),
                Body::Thinking(thinking) => {
                    sink.delta(&ReplyEvent::Thinking(thinking.text.clone()));
                }
                _ => {}
            }
        }
        let failed = |kind| Err(ModelError::failed(kind, "as recorded"));
        match reply.came {
            Came::Whole => {}
            Came::Broken => return failed(FaultKind::BrokeOff),
            Came::Cancelled => return Err(ModelError::Cancelled),
            Came::RefusedAsTooLong => return failed(FaultKind::ContextFull),
        }
        Ok(Reply {
            parts: reply.parts,
            usage: reply.usage,
            stop: reply.stop.as_deref().map(notice::stop_reason),
            complete: true,
            ..Reply::default()
        })
    }
}
