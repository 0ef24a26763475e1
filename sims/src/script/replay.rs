//! A scenario as straight-line code over a conversation that is sent anew with each request.
//!
//! The model keeps nothing between requests. A scenario is written as a function that performs one step after the
//! other; for each request it runs from its start. Steps whose results are already in the conversation return them at
//! once; the first step without a result ends the run, and becomes the answer: "call these tools". The scenario must
//! be deterministic, so that it walks the same path again up to where it stopped.
//!
//! Results are matched by tool and arguments, in order. A client that dropped old results from the conversation is
//! asked for them again.

use serde_json::Value;

use super::observation::{output, root_wanted};
use super::toolbox::{Action, Call, Toolbox};
use crate::conversation::{Message, PlannedCall, Reply, Role};

/// Calls in one job after which it is given up, whatever the scenario says.
const MOST_CALLS: usize = 160;

/// Either a step's value, or the answer with which this request ends.
pub(crate) type Step<T> = Result<T, Box<Reply>>;

/// What to say along with some calls.
#[derive(Debug, Clone, Default)]
pub(crate) struct Say {
    pub(crate) reasoning: String,
    pub(crate) text: String,
}

impl Say {
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self {
            reasoning: String::new(),
            text: text.into(),
        }
    }

    pub(crate) fn thinking(reasoning: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            reasoning: reasoning.into(),
            text: text.into(),
        }
    }
}

#[derive(Debug)]
struct Done {
    call: Call,
    result: String,
    used: bool,
}

/// The calls of the current job with their results, and the tools to make more.
#[derive(Debug)]
pub(crate) struct Replay<'a> {
    toolbox: Toolbox<'a>,
    done: Vec<Done>,
    /// Makes the ids of this conversation's calls unlike those of another one.
    stem: String,
    /// Calls in the whole conversation, to number the next one.
    calls: usize,
}

impl<'a> Replay<'a> {
    /// The state of the job that began with message `start`.
    pub(crate) fn new(mut toolbox: Toolbox<'a>, messages: &[Message], start: usize) -> Self {
        let mut done: Vec<Done> = Vec::new();
        for message in messages.iter().skip(start) {
            for call in &message.calls {
                let result = messages
                    .iter()
                    .find(|answer| answer.answers.as_deref() == Some(call.id.as_str()))
                    .map(|answer| output(&answer.text).into_owned())
                    .unwrap_or_default();
                done.push(Done {
                    call: Call {
                        name: call.name.clone(),
                        arguments: call.arguments.clone(),
                    },
                    result,
                    used: false,
                });
            }
        }
        if let Some(root) = root_wanted(done.iter().map(|done| done.result.as_str())) {
            toolbox.below(&root);
        }
        let calls = messages.iter().map(|message| message.calls.len()).sum();
        let first = messages
            .iter()
            .find(|message| message.role == Role::User)
            .map_or("", |message| message.text.as_str());
        Self {
            toolbox,
            done,
            stem: format!("{:08x}", fingerprint(first)),
            calls,
        }
    }

    pub(crate) fn toolbox(&self) -> &Toolbox<'a> {
        &self.toolbox
    }

    /// Does one thing and returns what the tool said.
    pub(crate) fn act(&mut self, say: &Say, action: &Action) -> Step<String> {
        let results = self.act_all(say, std::slice::from_ref(action))?;
        Ok(results.into_iter().next().unwrap_or_default())
    }

    /// Does several independent things at once.
    pub(crate) fn act_all(&mut self, say: &Say, actions: &[Action]) -> Step<Vec<String>> {
        let mut calls = Vec::new();
        for action in actions {
            match self.toolbox.call(action) {
                Some(call) => calls.push(call),
                None => return Err(Box::new(no_tool_for(action))),
            }
        }
        self.calls(say, calls)
    }

    /// Makes calls and returns their results, in order.
    pub(crate) fn calls(&mut self, say: &Say, calls: Vec<Call>) -> Step<Vec<String>> {
        let mut results = Vec::new();
        let mut missing = Vec::new();
        for call in calls {
            match self
                .done
                .iter_mut()
                .find(|done| !done.used && is_made(&call, &done.call))
            {
                Some(done) => {
                    done.used = true;
                    results.push(done.result.clone());
                }
                None => missing.push(call),
            }
        }
        if missing.is_empty() {
            return Ok(results);
        }
        if self.done.len() + missing.len() > MOST_CALLS {
            return Err(Box::new(Reply {
                text: format!(
                    "I stop here: this job has made {} tool calls without coming to an end.",
                    self.done.len()
                ),
                ..Reply::default()
            }));
        }
        let numbered = missing
            .into_iter()
            .enumerate()
            .map(|(index, call)| PlannedCall {
                id: format!("call_{}_{}", self.stem, self.calls + index + 1),
                name: call.name,
                arguments: call.arguments.to_string(),
            });
        Err(Box::new(Reply {
            reasoning: say.reasoning.clone(),
            text: say.text.clone(),
            calls: numbered.collect(),
        }))
    }
}

/// Whether a call of the conversation is this one. Some clients write the defaults of a tool into the calls that they
/// send back.
fn is_made(planned: &Call, made: &Call) -> bool {
    let same = match (planned.arguments.as_object(), made.arguments.as_object()) {
        (Some(planned), Some(made)) => {
            let kept = |(name, value): (&String, &Value)| made.get(name) == Some(value);
            let added = |(name, value): (&String, &Value)| {
                planned.contains_key(name) || matches!(value, Value::Null | Value::Bool(false))
            };
            planned.iter().all(kept) && made.iter().all(added)
        }
        _ => planned.arguments == made.arguments,
    };
    planned.name == made.name && same
}

fn no_tool_for(action: &Action) -> Reply {
    let what = match action {
        Action::Shell(_) => "run a command",
        Action::Read(_) => "read a file",
        Action::Edit { .. } | Action::Write { .. } => "change a file",
        Action::List => "list files",
        Action::Search(_) => "search the files",
    };
    Reply {
        text: format!("I cannot go on: none of the tools I was given can {what}."),
        ..Reply::default()
    }
}

/// FNV-1a, 32 bits: the same on every run.
fn fingerprint(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    })
}
