//! Requests, built.
//!
//! Fields serialise in the order in which they stand here and lists in the
//! order given, so that a conversation that only grows has a byte-stable
//! prefix, which upstream caches live on.

use serde::Serialize;
use serde_json::Value;

/// A streaming request.
#[derive(Debug, Clone, Serialize)]
pub struct ChatRequest<'a> {
    /// The model's id.
    pub model: &'a str,
    /// The tools offered.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub tools: &'a [ToolDefinition],
    /// The conversation.
    pub messages: &'a [ChatMessage],
    /// The bound of the reply, in tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u32>,
    stream: bool,
    stream_options: StreamOptions,
}

#[derive(Debug, Clone, Serialize)]
struct StreamOptions {
    include_usage: bool,
}

impl<'a> ChatRequest<'a> {
    /// A request for a streamed reply that reports its usage.
    pub fn streaming(
        model: &'a str,
        tools: &'a [ToolDefinition],
        messages: &'a [ChatMessage],
    ) -> Self {
        Self {
            model,
            tools,
            messages,
            max_tokens: None,
            stream: true,
            stream_options: StreamOptions {
                include_usage: true,
            },
        }
    }
}

/// A tool the model may call.
#[derive(Debug, Clone, Serialize)]
pub struct ToolDefinition {
    r#type: FunctionType,
    function: FunctionDefinition,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum FunctionType {
    Function,
}

#[derive(Debug, Clone, Serialize)]
struct FunctionDefinition {
    name: &'static str,
    description: &'static str,
    parameters: Value,
}

impl ToolDefinition {
    /// A tool with a JSON Schema for its arguments.
    pub fn function(name: &'static str, description: &'static str, parameters: Value) -> Self {
        Self {
            r#type: FunctionType::Function,
            function: FunctionDefinition {
                name,
                description,
                parameters,
            },
        }
    }

    /// The tool's name.
    pub fn name(&self) -> &'static str {
        self.function.name
    }
}

/// One message of the conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "role", rename_all = "snake_case")]
pub enum ChatMessage {
    /// Instructions.
    System {
        /// The text.
        content: String,
    },
    /// The person.
    User {
        /// The text.
        content: String,
    },
    /// The model.
    Assistant {
        /// The text; null where it only called tools.
        content: Option<String>,
        /// Its calls, in order.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        tool_calls: Vec<ToolCallMessage>,
    },
    /// A tool's result.
    Tool {
        /// The call it answers.
        tool_call_id: String,
        /// What the tool returned.
        content: String,
    },
}

/// A call as it is sent back to the model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ToolCallMessage {
    id: String,
    r#type: FunctionType,
    function: FunctionCall,
}

/// The function called, with its arguments as the model wrote them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FunctionCall {
    /// The tool's name.
    pub name: String,
    /// JSON, as text.
    pub arguments: String,
}

impl ToolCallMessage {
    /// A call of a function.
    pub fn new(id: String, name: String, arguments: String) -> Self {
        Self {
            id,
            r#type: FunctionType::Function,
            function: FunctionCall { name, arguments },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_wire_form_is_exact_and_a_longer_conversation_extends_it() {
        let tools = [ToolDefinition::function(
            "t",
            "d",
            json!({"type": "object"}),
        )];
        let mut messages = vec![
            ChatMessage::System {
                content: "s".to_owned(),
            },
            ChatMessage::User {
                content: "u".to_owned(),
            },
        ];
        let wire = |messages: &[ChatMessage]| {
            serde_json::to_string(&ChatRequest::streaming("m", &tools, messages)).unwrap()
        };
        let short = wire(&messages);
        assert_eq!(
            short,
            r#"{"model":"m","tools":[{"type":"function","function":{"name":"t","description":"d","parameters":{"type":"object"}}}],"messages":[{"role":"system","content":"s"},{"role":"user","content":"u"}],"stream":true,"stream_options":{"include_usage":true}}"#
        );
        messages.push(ChatMessage::Assistant {
            content: None,
            tool_calls: vec![ToolCallMessage::new(
                "c".to_owned(),
                "t".to_owned(),
                "{}".to_owned(),
            )],
        });
        messages.push(ChatMessage::Tool {
            tool_call_id: "c".to_owned(),
            content: "r".to_owned(),
        });
        let long = wire(&messages);
        let shared = short.find("],\"stream\"").unwrap();
        assert_eq!(long[..shared], short[..shared]);
        assert!(long.contains(
            r#"{"role":"assistant","content":null,"tool_calls":[{"id":"c","type":"function","function":{"name":"t","arguments":"{}"}}]},{"role":"tool","tool_call_id":"c","content":"r"}"#
        ));
    }
}
