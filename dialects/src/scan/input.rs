//! The most that a request's input can count as, before anybody counted it.
//!
//! No tokenizer makes more than one token of a byte, so the bytes of a body bound its text. What is
//! not text is counted apart: an image counts as what the model makes of an image, whatever its
//! bytes, and of what a request only names (a file, an earlier reply) the bytes are not known.
//!
//! Most requests have none of that, which is seen without parsing them.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

/// What of a request counts as input.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct InputScan {
    /// Bytes, without those of images.
    pub text_bytes: u64,
    /// Images.
    pub images: u64,
    /// Whether it names something whose length is not in it.
    pub refers: bool,
}

/// Beginnings of strings without one of which a body has no image and refers to nothing.
const MARKS: &[&[u8]] = &[
    b"audio",
    b"container",
    b"conversation\"",
    b"document",
    b"file",
    b"image",
    b"input_",
    b"item_reference",
    b"previous_response_id",
];
/// Objects of these types are images.
const IMAGES: &[&str] = &["image", "image_url", "input_image"];
/// Objects of these types hold, or name, what is counted otherwise than by its bytes.
const REFERENCES: &[&str] = &[
    "document",
    "file",
    "input_file",
    "input_audio",
    "item_reference",
    "container_upload",
];
/// Fields at the top that name what the provider holds.
const HELD: &[&str] = &["previous_response_id", "conversation", "container"];
/// Fields of an image that hold its bytes.
const PAYLOADS: &[&str] = &["url", "image_url", "data"];

impl InputScan {
    /// Reads a body of any dialect.
    pub fn read(body: &[u8]) -> Self {
        let whole = Self {
            text_bytes: length(body.len()),
            ..Self::default()
        };
        if !may_have_more(body) {
            return whole;
        }
        let mut seen = Seen::default();
        let mut json = serde_json::Deserializer::from_slice(body);
        let place = Place {
            top: true,
            payload: false,
        };
        if (At {
            seen: &mut seen,
            place,
        })
        .deserialize(&mut json)
        .is_err()
        {
            // Nested beyond reason, or not JSON: whatever it is, nobody can say how long.
            return Self {
                refers: true,
                ..whole
            };
        }
        Self {
            text_bytes: whole.text_bytes.saturating_sub(seen.image_bytes),
            images: seen.images,
            refers: seen.refers,
        }
    }
}

/// Whether a body may have more than text. An escaped letter may hide a mark.
fn may_have_more(body: &[u8]) -> bool {
    memchr::memchr2_iter(b'"', b'\\', body).any(|at| {
        let rest = body.get(at + 1..).unwrap_or_default();
        match rest.first() {
            Some(b'u') if body.get(at) == Some(&b'\\') => {
                matches!(rest.get(1..4), Some([b'0', b'0', b'4'..=b'7']))
            }
            Some(b'a' | b'c' | b'd' | b'f' | b'i' | b'p') => {
                MARKS.iter().any(|mark| rest.starts_with(mark))
            }
            _ => false,
        }
    })
}

fn length(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

#[derive(Default)]
struct Seen {
    images: u64,
    image_bytes: u64,
    refers: bool,
    /// Bytes of strings that are an image's if the object they stand in is one.
    payload: u64,
}

#[derive(Clone, Copy)]
struct Place {
    /// Whether this is the request itself.
    top: bool,
    /// Whether this is the value of a field that may hold an image.
    payload: bool,
}

/// A value at a place, whose sum goes to what was seen.
struct At<'s> {
    seen: &'s mut Seen,
    place: Place,
}

impl<'de> DeserializeSeed<'de> for At<'_> {
    type Value = Option<Cow<'de, str>>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_any(self)
    }
}

/// The text of a value, where it is one.
impl<'de> Visitor<'de> for At<'_> {
    type Value = Option<Cow<'de, str>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        if self.place.payload {
            self.seen.payload = self.seen.payload.saturating_add(length(text.len()));
        }
        Ok(Some(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        // An escaped payload is shorter than what stands for it; so its bytes are not overrated.
        if self.place.payload {
            self.seen.payload = self.seen.payload.saturating_add(length(text.len()));
        }
        Ok(Some(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let place = Place {
            top: false,
            payload: false,
        };
        while items
            .next_element_seed(At {
                seen: &mut *self.seen,
                place,
            })?
            .is_some()
        {}
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Self::Value, A::Error> {
        let before = std::mem::take(&mut self.seen.payload);
        let (mut image, mut source) = (false, false);
        while let Some(name) = fields.next_key::<Cow<'de, str>>()? {
            let name = name.as_ref();
            if self.place.top && HELD.contains(&name) {
                let value = fields.next_value_seed(At {
                    seen: &mut *self.seen,
                    place: Place {
                        top: false,
                        payload: false,
                    },
                })?;
                self.seen.refers |= value.is_some() || name != "previous_response_id";
                continue;
            }
            let payload = PAYLOADS.contains(&name) || name == "source";
            let place = Place {
                top: false,
                payload,
            };
            let value = fields.next_value_seed(At {
                seen: &mut *self.seen,
                place,
            })?;
            match (name, value.as_deref()) {
                ("type", Some(kind)) => {
                    image |= IMAGES.contains(&kind);
                    source |= kind == "base64";
                    self.seen.refers |= REFERENCES.contains(&kind);
                }
                ("file_id", Some(_)) => self.seen.refers = true,
                _ => {}
            }
        }
        let within = std::mem::take(&mut self.seen.payload);
        self.seen.payload = before;
        if image {
            self.seen.images = self.seen.images.saturating_add(1);
            self.seen.image_bytes = self.seen.image_bytes.saturating_add(within);
        } else if self.place.payload || source {
            // What an image keeps one level deeper.
            self.seen.payload = self.seen.payload.saturating_add(within);
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn read(body: &Value) -> (u64, bool, u64) {
        let text = body.to_string();
        let scan = InputScan::read(text.as_bytes());
        let missing = length(text.len()) - scan.text_bytes;
        (scan.images, scan.refers, missing)
    }

    #[test]
    fn a_body_of_text_counts_as_its_bytes() {
        for body in [
            json!({"model": "m", "messages": [{"role": "user", "content": "hello"}]}),
            json!({"messages": [{"role": "user", "content": [{"type": "text", "text": "an image"}]}]}),
            json!({"input": "{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:x\"}}"}),
            json!({"previous_response_id": null, "input": "file"}),
        ] {
            assert_eq!(read(&body), (0, false, 0), "{body}");
        }
    }

    #[test]
    fn images_of_every_dialect_are_counted_and_not_their_bytes() {
        let data = "A".repeat(1000);
        let url = format!("data:image/png;base64,{data}");
        let bytes = length(url.len());
        for (part, missing) in [
            (
                json!({"type": "image_url", "image_url": {"url": url, "detail": "high"}}),
                bytes,
            ),
            (json!({"type": "input_image", "image_url": url}), bytes),
            (
                json!({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}}),
                1000,
            ),
            (
                json!({"type": "image", "source": {"type": "url", "url": "https://a/b"}}),
                11,
            ),
        ] {
            let body =
                json!({"messages": [{"content": [part, part, {"type": "text", "text": "x"}]}]});
            assert_eq!(read(&body), (2, false, 2 * missing), "{body}");
        }
        // Within the result of a tool.
        let image = json!({"type": "image", "source": {"type": "base64", "data": data}});
        let body = json!({"content": [{"type": "tool_result", "content": [image]}]});
        assert_eq!(read(&body), (1, false, 1000));
    }

    #[test]
    fn text_that_is_dressed_as_an_image_counts_as_text() {
        let long = "word ".repeat(500);
        for body in [
            json!({"type": "text", "text": long, "url": "x"}),
            json!({"type": "image_url", "image_url": {"url": "data:"}, "text": long}),
            json!({"image_url": long, "type": "text", "text": "image"}),
        ] {
            let (_, _, missing) = read(&json!({"content": [body]}));
            assert!(missing < 100, "{missing}");
        }
        let escaped = br#"{"content":[{"type":"\u0069mage","source":{"data":"AAAA"}}]}"#;
        assert_eq!(InputScan::read(escaped).images, 1);
    }

    #[test]
    fn what_is_only_named_is_told() {
        for body in [
            json!({"previous_response_id": "resp_1"}),
            json!({"conversation": {"id": "conv_1"}}),
            json!({"input": [{"type": "input_file", "file_id": "file_1"}]}),
            json!({"messages": [{"content": [{"type": "document", "source": {"type": "url"}}]}]}),
            json!({"input": [{"type": "input_image", "file_id": "file_1"}]}),
        ] {
            assert!(read(&body).1, "{body}");
        }
        let deep = format!("{}\"image\"{}", "[".repeat(500), "]".repeat(500));
        assert!(InputScan::read(deep.as_bytes()).refers);
    }
}
