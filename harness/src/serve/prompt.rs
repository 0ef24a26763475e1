//! A host's prompt as a model is given it.

use sam_acp::Block;
use sam_dialects::conversation::{Body, Image, Part};
use serde_json::Value;

use crate::turn::Prompt;

/// Media types that models take as documents.
const DOCUMENT: &str = "application/pdf";

/// Reads a prompt: texts as they are, pictures as pictures, embedded resources
/// with their content under their address, links by their address.
pub(super) fn read(blocks: &[Block]) -> Prompt {
    let mut parts: Vec<Part> = Vec::new();
    for block in blocks {
        let part = match block {
            Block::Text { text } => Part::text(text.clone()),
            Block::Other { raw } => other(raw),
        };
        // Texts that follow each other are one text, as they always were.
        match (parts.last_mut().map(|last| &mut last.body), part.body) {
            (Some(Body::Text(before)), Body::Text(text)) => {
                before.push('\n');
                before.push_str(&text);
            }
            (_, body) => parts.push(body.into()),
        }
    }
    let plain = matches!(blocks, [Block::Text { .. }]);
    Prompt {
        parts,
        blocks: if plain { Vec::new() } else { blocks.to_vec() },
    }
}

fn other(raw: &Value) -> Part {
    let text = |pointer: &str| raw.pointer(pointer).and_then(Value::as_str);
    let address = |pointer: &str| text(pointer).unwrap_or("resource").to_owned();
    match text("/type") {
        Some("image") => match (text("/mimeType"), text("/data"), text("/uri")) {
            (Some(kind), Some(data), _) if !data.is_empty() => image(kind, data),
            (_, _, Some(uri)) => Part::text(format!("[an image at {uri}]")),
            _ => Part::text("[an image that cannot be read]"),
        },
        Some("resource") => {
            let uri = address("/resource/uri");
            let kind = text("/resource/mimeType").unwrap_or_default();
            match (text("/resource/text"), text("/resource/blob")) {
                (Some(content), _) => Part::text(format!("[{uri}]\n{content}")),
                (None, Some(data)) if kind.starts_with("image/") => image(kind, data),
                (None, Some(data)) if kind == DOCUMENT => Body::Document {
                    name: Some(uri),
                    media_type: kind.to_owned(),
                    data: data.to_owned(),
                }
                .into(),
                _ => Part::text(format!("[{uri}, which cannot be read here]")),
            }
        }
        Some("resource_link") => Part::text(format!("[{}]", address("/uri"))),
        Some("audio") => Part::text("[a recording, which cannot be heard here]"),
        _ => Part::text("[an attachment that cannot be read here]"),
    }
}

fn image(kind: &str, data: &str) -> Part {
    Body::Image(Image::from_base64(kind, data)).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn pictures_and_embedded_context_come_as_what_they_are() {
        let other = |raw: Value| Block::Other { raw };
        let prompt = read(&[
            Block::text("Look:"),
            other(json!({"type": "resource", "resource": {"uri": "file:///a", "text": "one"}})),
            other(json!({"type": "image", "mimeType": "image/png", "data": "AAAA"})),
            other(json!({"type": "resource_link", "uri": "file:///b", "name": "b"})),
            other(json!({"type": "audio", "mimeType": "audio/wav", "data": "AAAA"})),
        ]);
        let expected = [
            Part::text("Look:\n[file:///a]\none"),
            Body::Image(Image::from_base64("image/png", "AAAA")).into(),
            Part::text("[file:///b]\n[a recording, which cannot be heard here]"),
        ];
        assert_eq!(prompt.parts, expected);
        assert_eq!(prompt.blocks.len(), 5, "replayed as they came");
        assert!(read(&[Block::text("x")]).blocks.is_empty());
    }
}
