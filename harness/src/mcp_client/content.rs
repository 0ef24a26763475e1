//! A server's result as text for a model.

use rmcp::model::{CallToolResult, ContentBlock, ResourceContents};

use crate::head_tail::HeadTail;

/// Kept of either end of a result.
const KEPT: usize = 24 * 1024;

/// The result: its texts, and what is no text by name and size; bounded. A
/// server that gives structured content alone has it shown as JSON.
#[must_use]
pub fn text_of(result: &CallToolResult) -> String {
    let mut text = HeadTail::new(KEPT);
    for (number, block) in result.content.iter().enumerate() {
        if number > 0 {
            text.push(b"\n");
        }
        text.push(block_text(block).as_bytes());
    }
    if result.content.is_empty()
        && let Some(structured) = &result.structured_content
    {
        text.push(structured.to_string().as_bytes());
    }
    let text = text.text();
    if text.trim().is_empty() {
        return "[no output]".to_owned();
    }
    text
}

fn block_text(block: &ContentBlock) -> String {
    match block {
        ContentBlock::Text(text) => text.text.clone(),
        ContentBlock::Image(image) => {
            unreadable("an image", Some(&image.mime_type), image.data.len())
        }
        ContentBlock::Audio(audio) => {
            unreadable("a sound", Some(&audio.mime_type), audio.data.len())
        }
        ContentBlock::Resource(embedded) => match &embedded.resource {
            ResourceContents::TextResourceContents { uri, text, .. } => format!("[{uri}]\n{text}"),
            ResourceContents::BlobResourceContents {
                uri,
                mime_type,
                blob,
                ..
            } => unreadable(uri, mime_type.as_deref(), blob.len()),
            _ => "[a resource of an unknown kind]".to_owned(),
        },
        ContentBlock::ResourceLink(link) => format!("[{}]", link.uri),
        _ => "[content of an unknown kind]".to_owned(),
    }
}

/// Base64 is four letters for three bytes.
fn unreadable(what: &str, mime_type: Option<&str>, letters: usize) -> String {
    let kind = mime_type.unwrap_or("of an unknown type");
    format!(
        "[{what}, {kind}, about {} bytes, which cannot be shown here]",
        letters / 4 * 3
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn check(result: Value, expected: &str) {
        let result = serde_json::from_value(result).unwrap();
        assert_eq!(text_of(&result), expected);
    }

    #[test]
    fn results_are_text_and_the_rest_is_named() {
        let text = |text: &str| json!({"type": "text", "text": text});
        check(json!({"content": [text("a"), text("b")]}), "a\nb");
        check(json!({"content": []}), "[no output]");
        check(
            json!({"content": [], "structuredContent": {"n": 1}}),
            r#"{"n":1}"#,
        );
        let image = json!({"type": "image", "data": "AAAA", "mimeType": "image/png"});
        let resource = json!({"type": "resource", "resource": {"uri": "file:///a", "text": "x"}});
        check(
            json!({"content": [image, resource]}),
            "[an image, image/png, about 3 bytes, which cannot be shown here]\n[file:///a]\nx",
        );
        let long: CallToolResult =
            serde_json::from_value(json!({"content": [text(&"x".repeat(1 << 20))]})).unwrap();
        assert!(text_of(&long).len() < 3 * KEPT);
    }
}
