//! Faults that a test asks for: what goes wrong, and in which of the coming requests.
//!
//! Faults wait in a queue. A request takes the first fault whose conditions it meets; a fault that says `skip` lets
//! that many fitting requests pass first, and one that says `times` serves that many.
//!
//! Some faults spoil what the model says ([`FaultKind::spoil`]), the others what the gateway makes of it.

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::conversation::{PlannedCall, Reply, Request};
use crate::dialect::Part;

/// What goes wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum FaultKind {
    /// Status 429.
    RateLimit {
        /// Seconds until the limit resets.
        retry_after: u64,
        /// How the answer says so.
        #[serde(default)]
        says: Reset,
    },
    /// A plain error status.
    Status {
        /// HTTP status code, 400 to 599.
        status: u16,
    },
    /// Status 200 and a page in HTML, as from something that is not the API.
    Html,
    /// The connection breaks after this many chunks, without the end of the stream.
    Cut {
        /// Chunks sent first.
        after_chunks: usize,
    },
    /// The connection breaks after the first chunk of this kind, or for `finish` and what follows it before that: the
    /// last moment at which the answer is not whole.
    CutIn {
        /// The kind.
        part: Part,
    },
    /// The stream reports an error after this many chunks, and ends.
    Failure {
        /// Chunks sent first.
        after_chunks: usize,
        /// The error's code, such as `overloaded_error`.
        code: String,
    },
    /// The stream pauses after this many chunks until `POST /control/release`.
    Hold {
        /// Chunks sent first.
        after_chunks: usize,
    },
    /// The answer's head comes late.
    SlowAnswer {
        /// Delay in milliseconds.
        ms: u64,
    },
    /// The first byte of the body comes late.
    SlowFirstByte {
        /// Delay in milliseconds.
        ms: u64,
    },
    /// The first call of the answer cannot be read.
    Malformed {
        /// In which way.
        how: Malformation,
    },
    /// The model makes its last calls again, whatever came of them.
    Repeat,
    /// The model says nothing and calls nothing.
    Empty,
    /// The answer is counted as a share of the most that the request allows: a token for each of its bytes, and its
    /// limit of output.
    Uses {
        /// In hundredths.
        share: u64,
    },
    /// The answer says nothing of its usage.
    Unreported,
    /// The answer is so many pieces of so many bytes of text.
    Long {
        /// How many.
        pieces: usize,
        /// The length of each, in bytes.
        bytes: usize,
        /// Pause between two chunks of the answer, in milliseconds, whatever the gateway's own is.
        #[serde(default)]
        pause_ms: u64,
    },
}

/// How a 429 says when the limit resets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reset {
    /// `retry-after` in seconds, and `x-ratelimit-reset-requests` beside it.
    #[default]
    Seconds,
    /// `retry-after` as a date.
    Date,
    /// `x-ratelimit-reset-tokens` alone.
    Header,
    /// Not at all.
    Nothing,
}

impl Reset {
    /// The headers that say it.
    pub(super) fn headers(self, seconds: u64) -> Vec<(&'static str, String)> {
        match self {
            Self::Seconds => vec![
                ("retry-after", seconds.to_string()),
                ("x-ratelimit-reset-requests", format!("{seconds}s")),
            ],
            Self::Date => {
                let at = SystemTime::now() + Duration::from_secs(seconds);
                vec![("retry-after", httpdate::fmt_http_date(at))]
            }
            Self::Header => vec![("x-ratelimit-reset-tokens", format!("{seconds}s"))],
            Self::Nothing => Vec::new(),
        }
    }
}

/// What is wrong with a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Malformation {
    /// Half of its arguments' JSON.
    InvalidJson,
    /// A list where each argument should be.
    WrongTypes,
    /// A tool that nobody offered.
    UnknownTool,
}

impl FaultKind {
    /// What the model says when this happens to it.
    pub(super) fn spoil(&self, request: &Request, mut reply: Reply) -> Reply {
        match self {
            Self::Empty => Reply::default(),
            // One piece, which is said again and again.
            Self::Long { bytes, .. } => Reply {
                text: "x".repeat(*bytes),
                ..Reply::default()
            },
            Self::Malformed { how } => {
                if let Some(call) = reply.calls.first_mut() {
                    how.spoil(call);
                }
                reply
            }
            Self::Repeat => repeated(request).unwrap_or(reply),
            _ => reply,
        }
    }
}

impl Malformation {
    fn spoil(self, call: &mut PlannedCall) {
        match self {
            Self::InvalidJson => {
                let half = call.arguments.chars().count() / 2;
                call.arguments = call.arguments.chars().take(half).collect();
            }
            Self::WrongTypes => {
                let arguments: Map<String, Value> =
                    serde_json::from_str(&call.arguments).unwrap_or_default();
                let wrong: Map<String, Value> = arguments
                    .into_iter()
                    .map(|(name, value)| (name, json!([value])))
                    .collect();
                call.arguments = Value::Object(wrong).to_string();
            }
            Self::UnknownTool => call.name = "no_such_tool".to_owned(),
        }
    }
}

/// The newest calls of the conversation, made again.
fn repeated(request: &Request) -> Option<Reply> {
    let calls = |message: &crate::conversation::Message| !message.calls.is_empty();
    let last = request.messages.iter().rfind(|message| calls(message))?;
    let made: usize = request.messages.iter().map(|m| m.calls.len()).sum();
    let again = last.calls.iter().enumerate().map(|(at, call)| PlannedCall {
        id: format!("call_again_{}", made + at + 1),
        name: call.name.clone(),
        arguments: call.arguments.to_string(),
    });
    Some(Reply {
        text: "I try that once more.".to_owned(),
        calls: again.collect(),
        ..Reply::default()
    })
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
    /// Only requests whose answer makes calls (`true`) or none (`false`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calls: Option<bool>,
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
    pub(super) tools: bool,
    /// Whether its answer makes calls.
    pub(super) calls: bool,
    /// The text of all its messages.
    pub(super) text: &'a str,
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
                && fault.calls.is_none_or(|calls| calls == request.calls)
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
    use crate::conversation::{Call, Message, Role};

    #[test]
    fn a_fault_waits_for_a_fitting_request() {
        let mut queue = FaultQueue::default();
        let faults: Vec<Fault> = serde_json::from_str(
            r#"[{"kind":"status","status":500,"skip":1,"times":2,"tools":true,"calls":true,"contains":"fix"}]"#,
        )
        .unwrap();
        queue.extend(faults);
        let with = |tools, calls, text| Features { tools, calls, text };
        let happened = Some(FaultKind::Status { status: 500 });
        assert_eq!(queue.take(with(false, true, "fix")), None);
        assert_eq!(queue.take(with(true, false, "fix")), None);
        assert_eq!(queue.take(with(true, true, "look")), None);
        assert_eq!(queue.take(with(true, true, "fix")), None, "skipped");
        assert_eq!(queue.take(with(true, true, "fix")), happened);
        assert_eq!(queue.take(with(true, true, "fix")), happened);
        assert_eq!(queue.take(with(true, true, "fix")), None);
        assert!(queue.waiting().is_empty());
    }

    #[test]
    fn what_the_model_says_is_spoilt() {
        let reply = || Reply {
            calls: vec![PlannedCall {
                id: "a".into(),
                name: "bash".into(),
                arguments: r#"{"command":"ls"}"#.into(),
            }],
            ..Reply::default()
        };
        let mut message = Message::said(Role::Assistant, "");
        message.calls = vec![Call {
            id: "1".into(),
            name: "grep".into(),
            arguments: json!({"pattern": "x"}),
        }];
        let request = Request {
            messages: vec![message],
            tools: Vec::new(),
        };
        let spoilt = |kind: &FaultKind| {
            let reply = kind.spoil(&request, reply());
            let call = reply.calls.first().cloned();
            call.map(|call| (call.name, call.arguments))
        };
        let malformed = |how| spoilt(&FaultKind::Malformed { how });
        let call = |name: &str, arguments: &str| Some((name.to_owned(), arguments.to_owned()));
        assert_eq!(
            malformed(Malformation::InvalidJson),
            call("bash", r#"{"comman"#)
        );
        assert_eq!(
            malformed(Malformation::WrongTypes),
            call("bash", r#"{"command":["ls"]}"#)
        );
        assert_eq!(
            malformed(Malformation::UnknownTool),
            call("no_such_tool", r#"{"command":"ls"}"#)
        );
        assert_eq!(
            spoilt(&FaultKind::Repeat),
            call("grep", r#"{"pattern":"x"}"#)
        );
        assert_eq!(spoilt(&FaultKind::Empty), None);
    }
}
