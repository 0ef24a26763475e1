//! What is asked.

use serde_json::{Map, Value};

use crate::Dialect;

/// A request for a reply.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Request {
    /// The model's id; empty when none is named.
    pub model: String,
    /// Whether the reply shall be streamed.
    pub stream: bool,
    /// The conversation, oldest first; instructions come first, as
    /// [`Role::System`].
    pub messages: Vec<Message>,
    /// The tools offered.
    pub tools: Vec<Tool>,
    /// Which tools the model may or must call.
    pub tool_choice: Option<ToolChoice>,
    /// Whether it may make several calls in one reply.
    pub parallel_calls: Option<bool>,
    /// The bound of the reply in tokens, reasoning included.
    pub max_output: Option<u64>,
    /// Sampling temperature, as the client's dialect counts it.
    pub temperature: Option<f64>,
    /// Nucleus sampling.
    pub top_p: Option<f64>,
    /// Texts that end the reply.
    pub stop: Vec<String>,
    /// How much to think.
    pub reasoning: Reasoning,
    /// The form of the answer; none for plain text.
    pub format: Option<Format>,
    /// Whether a stream ends with its usage; only chat completions ask.
    pub report_usage: bool,
    /// Fields that are not modelled, of the dialect the request came in.
    pub extra: Map<String, Value>,
}

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Instructions that nobody overrules.
    System,
    /// Instructions of whoever builds on the model.
    Developer,
    /// The person, and results of tools.
    User,
    /// The model.
    Assistant,
}

/// Something said.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// Who says it.
    pub role: Role,
    /// In order.
    pub parts: Vec<Part>,
}

impl Message {
    /// A message of one text.
    pub fn text(role: Role, text: impl Into<String>) -> Self {
        Self {
            role,
            parts: vec![Part::text(text)],
        }
    }
}

/// A part of a message.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// What it is.
    pub body: Body,
    /// A marker that the prompt up to here be cached, as `cache_control` has it.
    pub cache: Option<Value>,
}

impl Part {
    /// A text.
    pub fn text(text: impl Into<String>) -> Self {
        Body::Text(text.into()).into()
    }

    /// The text of a text part.
    pub fn as_text(&self) -> Option<&str> {
        match &self.body {
            Body::Text(text) => Some(text),
            _ => None,
        }
    }
}

impl From<Body> for Part {
    fn from(body: Body) -> Self {
        Self { body, cache: None }
    }
}

/// What a part is.
#[derive(Debug, Clone, PartialEq)]
pub enum Body {
    /// Text.
    Text(String),
    /// The model declined, in these words.
    Refusal(String),
    /// A picture.
    Image(Image),
    /// A document, in base64.
    Document {
        /// Its name, if it has one.
        name: Option<String>,
        /// Its media type.
        media_type: String,
        /// Its bytes in base64.
        data: String,
    },
    /// Reasoning.
    Thinking(Thinking),
    /// The model calls a tool.
    Call(ToolCall),
    /// What a tool returned.
    Result(ToolResult),
    /// A block that only one dialect knows.
    Foreign {
        /// That dialect.
        dialect: Dialect,
        /// The block.
        raw: Value,
    },
}

/// A picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// A URL; a `data:` URL carries the picture itself.
    pub url: String,
    /// How closely to look (`low`, `high`, `auto`).
    pub detail: Option<String>,
}

impl Image {
    /// Media type and base64 of a `data:` URL.
    pub fn inline(&self) -> Option<(&str, &str)> {
        let (kind, data) = self.url.strip_prefix("data:")?.split_once(',')?;
        Some((kind.strip_suffix(";base64")?, data))
    }

    /// A picture carried in the request.
    pub fn from_base64(media_type: &str, data: &str) -> Self {
        Self {
            url: ["data:", media_type, ";base64,", data].concat(),
            detail: None,
        }
    }
}

/// A piece of reasoning.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Thinking {
    /// What may be shown of it.
    pub text: String,
    /// The item as its dialect gave it: the only form in which it may return.
    pub raw: Option<(Dialect, Value)>,
}

/// A call the model makes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ToolCall {
    /// Unique in the conversation.
    pub id: String,
    /// The tool's name.
    pub name: String,
    /// JSON as text, as the model wrote it; free text for a custom tool.
    pub arguments: String,
    /// Whether the tool takes free text.
    pub custom: bool,
}

/// What a tool returned.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ToolResult {
    /// The call it answers.
    pub call: String,
    /// Texts, pictures and documents.
    pub parts: Vec<Part>,
    /// Whether the tool failed. Only Messages can say so; elsewhere the text
    /// has to.
    pub failed: bool,
    /// Whether the tool takes free text.
    pub custom: bool,
}

/// A tool the model may call.
#[derive(Debug, Clone, PartialEq)]
pub struct Tool {
    /// Its name.
    pub name: String,
    /// What it does.
    pub description: Option<String>,
    /// What it takes.
    pub kind: ToolKind,
    /// The namespace it was offered in, and its name there; only Responses has
    /// them. [`Tool::name`] is then both.
    pub namespace: Option<(String, String)>,
    /// A cache marker, see [`Part::cache`].
    pub cache: Option<Value>,
}

/// What a tool takes.
#[derive(Debug, Clone, PartialEq)]
pub enum ToolKind {
    /// An object that fits a JSON schema.
    Function {
        /// The schema.
        schema: Value,
        /// Whether the arguments must fit it exactly.
        strict: Option<bool>,
    },
    /// Free text, perhaps of a grammar.
    Custom {
        /// The grammar, as Responses has it.
        format: Option<Value>,
    },
    /// Something the API does by itself.
    Hosted {
        /// The dialect that has it.
        dialect: Dialect,
        /// Its definition.
        raw: Value,
    },
}

impl Tool {
    /// A function with a schema for its arguments.
    pub fn function(name: &str, description: &str, schema: Value) -> Self {
        Self {
            name: name.to_owned(),
            description: Some(description.to_owned()),
            kind: ToolKind::Function {
                schema,
                strict: None,
            },
            namespace: None,
            cache: None,
        }
    }
}

/// Which tools the model calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToolChoice {
    /// As it likes.
    Auto,
    /// None.
    None,
    /// At least one.
    Required,
    /// This one.
    Tool(String),
}

/// How much to think.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reasoning {
    /// In words.
    pub effort: Option<Effort>,
    /// In tokens.
    pub budget: Option<u64>,
    /// Whether the model decides by itself how much.
    pub adaptive: bool,
    /// How its reasoning is summed up (`auto`, `concise`, `detailed`).
    pub summary: Option<String>,
}

/// How hard to think.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effort {
    /// Not at all.
    None,
    /// As little as can be.
    Minimal,
    /// Little.
    Low,
    /// As usual.
    Medium,
    /// Much.
    High,
    /// Very much.
    XHigh,
    /// Without bound.
    Max,
}

impl Effort {
    const NAMES: [(Self, &'static str); 7] = [
        (Self::None, "none"),
        (Self::Minimal, "minimal"),
        (Self::Low, "low"),
        (Self::Medium, "medium"),
        (Self::High, "high"),
        (Self::XHigh, "xhigh"),
        (Self::Max, "max"),
    ];

    /// The name that all dialects use.
    pub fn name(self) -> &'static str {
        let found = Self::NAMES.iter().find(|(effort, _)| *effort == self);
        found.map_or("medium", |(_, name)| name)
    }

    /// By its name.
    pub fn parse(name: &str) -> Option<Self> {
        let found = Self::NAMES.iter().find(|(_, known)| *known == name);
        found.map(|(effort, _)| *effort)
    }

    /// Tokens of thinking, for a model that counts in tokens.
    pub fn budget(self) -> Option<u64> {
        match self {
            Self::None => None,
            Self::Minimal => Some(1024),
            Self::Low => Some(2048),
            Self::Medium => Some(8192),
            Self::High => Some(16_384),
            Self::XHigh => Some(24_576),
            Self::Max => Some(32_768),
        }
    }

    /// The effort that a number of tokens stands for.
    pub fn of_budget(tokens: u64) -> Self {
        match tokens {
            0..2048 => Self::Minimal,
            2048..8192 => Self::Low,
            8192..16_384 => Self::Medium,
            16_384..24_576 => Self::High,
            24_576..32_768 => Self::XHigh,
            _ => Self::Max,
        }
    }
}

impl Reasoning {
    /// The effort asked for, however it was asked.
    pub fn as_effort(&self) -> Option<Effort> {
        let adaptive = self.adaptive.then_some(Effort::Medium);
        self.effort
            .or_else(|| self.budget.map(Effort::of_budget))
            .or(adaptive)
    }

    /// The tokens asked for, however they were asked.
    pub fn as_budget(&self) -> Option<u64> {
        self.budget
            .or_else(|| self.as_effort().and_then(Effort::budget))
    }
}

/// The form of the answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Format {
    /// Any JSON object.
    Json,
    /// JSON that fits a schema.
    Schema {
        /// A name for it.
        name: String,
        /// The schema.
        schema: Value,
        /// Whether it must fit exactly.
        strict: Option<bool>,
    },
}

impl Request {
    /// Whether any part or tool carries a cache marker.
    pub fn has_cache_markers(&self) -> bool {
        let parts = self.messages.iter().flat_map(|message| &message.parts);
        parts.filter(|part| part.cache.is_some()).count() > 0
            || self.tools.iter().any(|tool| tool.cache.is_some())
    }

    /// Marks what an API that caches only on demand shall cache: the
    /// instructions with the tools before them, and the conversation up to
    /// its end and up to the turn before, where the last request's marker was.
    pub fn mark_cache(&mut self) {
        let marker = || Some(serde_json::json!({ "type": "ephemeral" }));
        let mark = |message: Option<&mut Message>| {
            let parts = message.map(|message| &mut message.parts);
            let markable = |part: &&mut Part| !matches!(part.body, Body::Thinking(_));
            if let Some(part) = parts.and_then(|parts| parts.iter_mut().rfind(markable)) {
                part.cache = marker();
            }
        };
        let instructions =
            |message: &Message| matches!(message.role, Role::System | Role::Developer);
        let system = self.messages.iter().take_while(|m| instructions(m)).count();
        match system.checked_sub(1) {
            Some(last) => mark(self.messages.get_mut(last)),
            None => {
                if let Some(tool) = self.tools.last_mut() {
                    tool.cache = marker();
                }
            }
        }
        let user = |message: &&mut Message| message.role == Role::User;
        let mut users = self.messages.iter_mut().rev().filter(user);
        mark(users.next());
        mark(users.next());
    }

    /// Whether a tool of this name takes free text.
    pub fn is_custom(&self, name: &str) -> bool {
        let named = |tool: &&Tool| tool.name == name;
        let tool = self.tools.iter().find(named);
        tool.is_some_and(|tool| matches!(tool.kind, ToolKind::Custom { .. }))
    }
}
