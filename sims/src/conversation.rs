//! A conversation with the model, whatever protocol it came in.
//!
//! The scripted model reads [`Request`] and writes [`Reply`]; the protocols in front of it ([`crate::dialect`])
//! translate. Nothing here knows how either looks on the wire.

use serde::Serialize;
use serde_json::Value;

/// The id of the one model served here.
pub(crate) const MODEL: &str = "scripted";

/// What the model is asked.
#[derive(Debug, Clone, Default)]
pub(crate) struct Request {
    /// The conversation so far, oldest first.
    pub(crate) messages: Vec<Message>,
    /// Tools the model may call.
    pub(crate) tools: Vec<ToolDefinition>,
}

impl Request {
    /// The text of every message, for whoever looks for words in it.
    pub(crate) fn text(&self) -> String {
        let texts: Vec<&str> = self.messages.iter().map(|m| m.text.as_str()).collect();
        texts.join("\n")
    }
}

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// The program around the model.
    System,
    /// A person.
    User,
    /// The model, earlier.
    Assistant,
    /// A tool, in answer to a call.
    Tool,
}

/// One message of the conversation.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    /// Who speaks.
    pub(crate) role: Role,
    /// What is said; parts that are not text are left out.
    pub(crate) text: String,
    /// The calls that the model made.
    pub(crate) calls: Vec<Call>,
    /// The call that a tool answers.
    pub(crate) answers: Option<String>,
}

impl Message {
    /// Words without calls.
    #[cfg(test)]
    pub(crate) fn said(role: Role, text: impl Into<String>) -> Self {
        Self {
            role,
            text: text.into(),
            calls: Vec::new(),
            answers: None,
        }
    }
}

/// A call that the model made earlier.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Call {
    /// The call's id, named by its result.
    pub(crate) id: String,
    /// Tool name.
    pub(crate) name: String,
    /// Its arguments; null when they were none.
    pub(crate) arguments: Value,
}

/// A tool offered by the client.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct ToolDefinition {
    /// Tool name.
    pub(crate) name: String,
    /// JSON schema of its arguments.
    pub(crate) parameters: Value,
}

/// What the model answers: some text, or some calls, or both.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Reply {
    /// Reasoning shown apart from the answer; often empty.
    pub(crate) reasoning: String,
    /// The answer's text.
    pub(crate) text: String,
    /// Tool calls; when there are none the turn is over.
    pub(crate) calls: Vec<PlannedCall>,
}

/// A call the model makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PlannedCall {
    /// The call's id, unique in its conversation.
    pub(crate) id: String,
    /// Tool name.
    pub(crate) name: String,
    /// Arguments as JSON text; something else only when a fault spoilt them.
    pub(crate) arguments: String,
}

/// Token counts, computed from the lengths of the texts: one token for every four characters, rounded up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Usage {
    /// Tokens of messages and tool definitions.
    pub prompt_tokens: u64,
    /// Tokens of text, reasoning and call arguments.
    pub completion_tokens: u64,
    /// Both together.
    pub total_tokens: u64,
}

impl Usage {
    /// So many tokens of input and of output.
    pub(crate) const fn new(prompt_tokens: u64, completion_tokens: u64) -> Self {
        Self {
            prompt_tokens,
            completion_tokens,
            total_tokens: prompt_tokens.saturating_add(completion_tokens),
        }
    }

    /// A share of it, in hundredths.
    pub(crate) const fn share(self, hundredths: u64) -> Self {
        Self::new(
            self.prompt_tokens * hundredths / 100,
            self.completion_tokens * hundredths / 100,
        )
    }

    /// The usage of one request and its answer.
    pub(crate) fn of(request: &Request, reply: &Reply) -> Self {
        let chars = |text: &str| text.chars().count();
        let mut prompt = 0;
        for message in &request.messages {
            prompt += chars(&message.text);
            for call in &message.calls {
                prompt += chars(&call.name) + chars(&call.arguments.to_string());
            }
        }
        for tool in &request.tools {
            prompt += chars(&tool.name) + chars(&tool.parameters.to_string());
        }
        let mut completion = chars(&reply.text) + chars(&reply.reasoning);
        for call in &reply.calls {
            completion += chars(&call.name) + chars(&call.arguments);
        }
        let tokens = |chars: usize| u64::try_from(chars.div_ceil(4)).unwrap_or(u64::MAX);
        let (prompt_tokens, completion_tokens) = (tokens(prompt), tokens(completion));
        Self {
            prompt_tokens,
            completion_tokens,
            total_tokens: prompt_tokens.saturating_add(completion_tokens),
        }
    }
}
