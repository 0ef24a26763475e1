//! A tool's arguments, as a person reads them.

use serde_json::Value;

/// The arguments in order of name; text is shown as text and
/// anything else as JSON. What is no JSON object is shown whole, without a name.
pub(crate) fn entries(json: &str) -> Vec<(String, String)> {
    match serde_json::from_str::<Value>(json) {
        Ok(Value::Object(map)) => map
            .into_iter()
            .map(|(name, value)| {
                let shown = match value {
                    Value::String(text) => text,
                    other => serde_json::to_string_pretty(&other).unwrap_or_default(),
                };
                (name, shown)
            })
            .collect(),
        _ if json.trim().is_empty() => Vec::new(),
        _ => vec![(String::new(), json.to_owned())],
    }
}

/// The command line a tool runs, where the arguments name one.
pub(crate) fn command(entries: &[(String, String)]) -> Option<&str> {
    entries
        .iter()
        .find(|(name, _)| matches!(name.as_str(), "command" | "cmd" | "script"))
        .map(|(_, value)| value.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_named_or_whole() {
        let named = entries(r#"{"command":"npm test","timeout":5,"env":{"A":1}}"#);
        assert_eq!(command(&named), Some("npm test"));
        assert!(named.contains(&("timeout".to_owned(), "5".to_owned())));
        assert!(named.contains(&("env".to_owned(), "{\n  \"A\": 1\n}".to_owned())));
        assert_eq!(entries("{\"cut"), [(String::new(), "{\"cut".to_owned())]);
        assert_eq!(entries(" "), []);
        assert_eq!(command(&entries("[1]")), None);
    }
}
