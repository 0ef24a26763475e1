//! Calls that a model wrote into its text.
//!
//! Some models, or the servers before them, fail to mark a call as one. It is
//! never made: whoever shows the text can say why nothing happened.

use serde_json::Value;

const MARKS: &[&str] = &[
    "<tool_call>",
    "<tool_calls>",
    "<function_calls>",
    "<function_call>",
    "<function=",
    "<invoke name=",
    "<|python_tag|>",
    "<|tool_call_begin|>",
    "<|tool_calls_section_begin|>",
    "<|tool\u{2581}call\u{2581}begin|>",
    "[TOOL_CALLS]",
    "```tool_call",
    "```tool_code",
    "to=functions.",
];

/// Whether a text looks as if the model meant to call a tool.
pub fn looks_like_call(text: &str) -> bool {
    let text = text.trim();
    MARKS.iter().any(|mark| text.contains(mark)) || is_bare_call(text)
}

/// `{"name": …, "arguments": {…}}` and nothing else, perhaps fenced.
fn is_bare_call(text: &str) -> bool {
    let text = text.strip_prefix("```json").unwrap_or(text);
    let text = text.trim_matches('`').trim();
    if !text.starts_with(['{', '[']) || text.len() > 1024 * 1024 {
        return false;
    }
    let call = |value: &Value| {
        let named = ["name", "tool", "function", "tool_name"];
        let given = ["arguments", "parameters", "args", "input"];
        named.iter().any(|key| {
            value
                .get(key)
                .is_some_and(|v| v.is_string() || v.is_object())
        }) && given.iter().any(|key| value.get(key).is_some())
    };
    match serde_json::from_str(text) {
        Ok(Value::Array(calls)) => !calls.is_empty() && calls.iter().all(call),
        Ok(value) => call(&value) || value.get("tool_calls").is_some(),
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_told_from_talk_about_calls() {
        for call in [
            "I will read it. <tool_call>{\"name\":\"read\",\"arguments\":{}}</tool_call>",
            "<function=read><parameter=path>a</parameter></function>",
            "[TOOL_CALLS][{\"name\":\"read\",\"arguments\":{}}]",
            "{\"name\": \"read\", \"arguments\": {\"path\": \"a\"}}",
            "```json\n{\"name\": \"read\", \"parameters\": {\"path\": \"a\"}}\n```",
            "[{\"name\": \"read\", \"input\": {}}]",
            "{\"tool_calls\":[]}",
        ] {
            assert!(looks_like_call(call), "{call}");
        }
        for talk in [
            "",
            "Done.",
            "The function `read` takes a name and arguments.",
            "{\"name\": \"sam\", \"version\": 1}",
            "{\"name\": 1, \"arguments\": {}}",
            "[]",
            "{",
        ] {
            assert!(!looks_like_call(talk), "{talk}");
        }
    }
}
