//! Messages on disk: the parts of a conversation in a form of our own, so
//! that a change of the types in memory changes no file.

use sam_dialects::Dialect;
use sam_dialects::conversation::{
    Body, Image, Message, Part, Role, Thinking, Tool, ToolCall, ToolKind, ToolResult,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

#[derive(Serialize, Deserialize)]
struct MessageRecord {
    role: RoleRecord,
    parts: Vec<PartRecord>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum RoleRecord {
    System,
    Developer,
    User,
    Assistant,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum PartRecord {
    Text {
        text: String,
    },
    Refusal {
        text: String,
    },
    Image {
        url: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        detail: Option<String>,
    },
    Document {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        media_type: String,
        data: String,
    },
    Thinking {
        text: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        dialect: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        raw: Option<Value>,
    },
    Call {
        id: String,
        name: String,
        arguments: String,
        #[serde(default, skip_serializing_if = "is_false")]
        custom: bool,
    },
    Result {
        call: String,
        parts: Vec<PartRecord>,
        #[serde(default, skip_serializing_if = "is_false")]
        failed: bool,
        #[serde(default, skip_serializing_if = "is_false")]
        custom: bool,
    },
    Foreign {
        dialect: String,
        raw: Value,
    },
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde calls it with a reference"
)]
pub(super) fn is_false(flag: &bool) -> bool {
    !flag
}

impl From<&Part> for PartRecord {
    fn from(part: &Part) -> Self {
        match &part.body {
            Body::Text(text) => Self::Text { text: text.clone() },
            Body::Refusal(text) => Self::Refusal { text: text.clone() },
            Body::Image(image) => Self::Image {
                url: image.url.clone(),
                detail: image.detail.clone(),
            },
            Body::Document {
                name,
                media_type,
                data,
            } => Self::Document {
                name: name.clone(),
                media_type: media_type.clone(),
                data: data.clone(),
            },
            Body::Thinking(thinking) => Self::Thinking {
                text: thinking.text.clone(),
                dialect: thinking.raw.as_ref().map(|raw| raw.0.name().to_owned()),
                raw: thinking.raw.as_ref().map(|raw| raw.1.clone()),
            },
            Body::Call(call) => Self::Call {
                id: call.id.clone(),
                name: call.name.clone(),
                arguments: call.arguments.clone(),
                custom: call.custom,
            },
            Body::Result(result) => Self::Result {
                call: result.call.clone(),
                parts: result.parts.iter().map(Self::from).collect(),
                failed: result.failed,
                custom: result.custom,
            },
            Body::Foreign { dialect, raw } => Self::Foreign {
                dialect: dialect.name().to_owned(),
                raw: raw.clone(),
            },
        }
    }
}

impl From<PartRecord> for Part {
    fn from(record: PartRecord) -> Self {
        let body = match record {
            PartRecord::Text { text } => Body::Text(text),
            PartRecord::Refusal { text } => Body::Refusal(text),
            PartRecord::Image { url, detail } => Body::Image(Image { url, detail }),
            PartRecord::Document {
                name,
                media_type,
                data,
            } => Body::Document {
                name,
                media_type,
                data,
            },
            PartRecord::Thinking { text, dialect, raw } => {
                let dialect = dialect.as_deref().and_then(Dialect::parse);
                Body::Thinking(Thinking {
                    text,
                    raw: dialect.zip(raw),
                })
            }
            PartRecord::Call {
                id,
                name,
                arguments,
                custom,
            } => Body::Call(ToolCall {
                id,
                name,
                arguments,
                custom,
            }),
            PartRecord::Result {
                call,
                parts,
                failed,
                custom,
            } => Body::Result(ToolResult {
                call,
                parts: parts.into_iter().map(Self::from).collect(),
                failed,
                custom,
            }),
            PartRecord::Foreign { dialect, raw } => match Dialect::parse(&dialect) {
                Some(dialect) => Body::Foreign { dialect, raw },
                None => Body::Text(raw.to_string()),
            },
        };
        body.into()
    }
}

impl From<&Message> for MessageRecord {
    fn from(message: &Message) -> Self {
        Self {
            role: match message.role {
                Role::System => RoleRecord::System,
                Role::Developer => RoleRecord::Developer,
                Role::User => RoleRecord::User,
                Role::Assistant => RoleRecord::Assistant,
            },
            parts: message.parts.iter().map(PartRecord::from).collect(),
        }
    }
}

impl From<MessageRecord> for Message {
    fn from(record: MessageRecord) -> Self {
        Self {
            role: match record.role {
                RoleRecord::System => Role::System,
                RoleRecord::Developer => Role::Developer,
                RoleRecord::User => Role::User,
                RoleRecord::Assistant => Role::Assistant,
            },
            parts: record.parts.into_iter().map(Part::from).collect(),
        }
    }
}

/// For fields that hold parts.
pub(super) mod parts {
    use super::{Deserialize, Deserializer, Part, PartRecord, Serializer};

    pub(in crate::transcript) fn serialize<S: Serializer>(
        parts: &[Part],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(parts.iter().map(PartRecord::from))
    }

    pub(in crate::transcript) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<Part>, D::Error> {
        let records = Vec::<PartRecord>::deserialize(deserializer)?;
        Ok(records.into_iter().map(Part::from).collect())
    }
}

/// For fields that hold messages.
pub(super) mod messages {
    use super::{Deserialize, Deserializer, Message, MessageRecord, Serializer};

    pub(in crate::transcript) fn serialize<S: Serializer>(
        messages: &[Message],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(messages.iter().map(MessageRecord::from))
    }

    pub(in crate::transcript) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<Message>, D::Error> {
        let records = Vec::<MessageRecord>::deserialize(deserializer)?;
        Ok(records.into_iter().map(Message::from).collect())
    }
}

/// For fields that hold tools with a schema. Tools of another kind are none
/// of ours and are left out.
pub(super) mod tools {
    use super::{Deserialize, Deserializer, Serialize, Serializer, Tool, ToolKind, Value};

    #[derive(Serialize, Deserialize)]
    struct ToolRecord {
        name: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        description: Option<String>,
        schema: Value,
    }

    pub(in crate::transcript) fn serialize<S: Serializer>(
        tools: &[Tool],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let record = |tool: &Tool| match &tool.kind {
            ToolKind::Function { schema, .. } => Some(ToolRecord {
                name: tool.name.clone(),
                description: tool.description.clone(),
                schema: schema.clone(),
            }),
            ToolKind::Custom { .. } | ToolKind::Hosted { .. } => None,
        };
        serializer.collect_seq(tools.iter().filter_map(record))
    }

    pub(in crate::transcript) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<Tool>, D::Error> {
        let records = Vec::<ToolRecord>::deserialize(deserializer)?;
        let tool = |record: ToolRecord| {
            let description = record.description.unwrap_or_default();
            Tool::function(&record.name, &description, record.schema)
        };
        Ok(records.into_iter().map(tool).collect())
    }
}
