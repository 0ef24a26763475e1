//! A request on its way through, read and minimally changed.
//!
//! The one edit: a streaming request is made to ask for its usage. It is done
//! by splicing text into the body, so every other byte, also whitespace,
//! number forms and unknown fields, arrives as it was sent.

use serde::Deserialize;
use serde::de::{MapAccess, Visitor};
use serde_json::value::RawValue;

/// A chat request that can be passed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreparedRequest {
    /// The model it names.
    pub model: Option<String>,
    /// Whether it wants a stream.
    pub stream: bool,
    /// Whether the client itself wants the usage chunk; if not, it must be
    /// taken out of the stream by [`super::UsageChunkFilter`].
    pub asked_for_usage: bool,
    /// What to send.
    pub body: Vec<u8>,
}

/// Why a request cannot be passed on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PrepareError {
    /// The body is not a JSON object.
    #[error("the request is not a JSON object: {0}")]
    NotAnObject(String),
    /// A field that decides about routing or cost stands there twice, which
    /// two parsers may read differently.
    #[error("the field {0} stands in the request twice")]
    Repeated(&'static str),
    /// A field has the wrong type.
    #[error("the field {0} has the wrong type")]
    WrongType(&'static str),
}

/// An object's fields in their order, with their values' text.
struct Fields<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FieldsVisitor;
        impl<'de> Visitor<'de> for FieldsVisitor {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(FieldsVisitor)
    }
}

impl<'a> Fields<'a> {
    /// The one value of a field.
    fn only(&self, name: &'static str) -> Result<Option<&'a RawValue>, PrepareError> {
        let mut values = self.0.iter().filter(|(key, _)| key == name);
        let value = values.next().map(|(_, value)| *value);
        match values.next() {
            Some(_) => Err(PrepareError::Repeated(name)),
            None => Ok(value),
        }
    }

    fn read<T: Deserialize<'a>>(&self, name: &'static str) -> Result<Option<T>, PrepareError> {
        match self.only(name)? {
            None => Ok(None),
            Some(value) => {
                serde_json::from_str(value.get()).map_err(|_| PrepareError::WrongType(name))
            }
        }
    }
}

/// Reads a chat request and makes a streaming one ask for its usage.
pub fn prepare_request(body: &[u8]) -> Result<PreparedRequest, PrepareError> {
    let not_an_object = |detail: String| PrepareError::NotAnObject(detail);
    let text = std::str::from_utf8(body).map_err(|error| not_an_object(error.to_string()))?;
    let fields: Fields<'_> =
        serde_json::from_str(text).map_err(|error| not_an_object(error.to_string()))?;
    let stream = fields.read::<bool>("stream")?.unwrap_or(false);
    let options = fields.only("stream_options")?;
    let asked_for_usage = match options {
        Some(options) => include_usage(options)?,
        None => false,
    };
    let body = if !stream || asked_for_usage {
        body.to_vec()
    } else {
        match options {
            Some(options) => replace(text, options, &with_include_usage(options)?),
            None => insert_first(text, r#""stream_options":{"include_usage":true}"#, &fields),
        }
    };
    Ok(PreparedRequest {
        model: fields.read("model")?,
        stream,
        asked_for_usage,
        body,
    })
}

/// Makes a request name `model`: in the place of the one it names, or as its
/// first field. Every other byte stays as it was sent.
pub fn set_model(body: &[u8], model: &str) -> Result<Vec<u8>, PrepareError> {
    let not_an_object = |detail: String| PrepareError::NotAnObject(detail);
    let text = std::str::from_utf8(body).map_err(|error| not_an_object(error.to_string()))?;
    let fields: Fields<'_> =
        serde_json::from_str(text).map_err(|error| not_an_object(error.to_string()))?;
    let model = serde_json::Value::from(model).to_string();
    Ok(match fields.only("model")? {
        Some(named) => replace(text, named, &model),
        None => insert_first(text, &format!("\"model\":{model}"), &fields),
    })
}

fn option_fields(options: &RawValue) -> Result<Option<Fields<'_>>, PrepareError> {
    serde_json::from_str(options.get()).map_err(|_| PrepareError::WrongType("stream_options"))
}

fn include_usage(options: &RawValue) -> Result<bool, PrepareError> {
    match option_fields(options)? {
        None => Ok(false),
        Some(fields) => Ok(fields.read::<bool>("include_usage")?.unwrap_or(false)),
    }
}

fn with_include_usage(options: &RawValue) -> Result<String, PrepareError> {
    let mut text = String::from(r#"{"include_usage":true"#);
    let fields = option_fields(options)?.map_or_else(Vec::new, |fields| fields.0);
    for (key, value) in fields.iter().filter(|(key, _)| key != "include_usage") {
        text.push(',');
        text.push_str(&serde_json::Value::from(key.as_str()).to_string());
        text.push(':');
        text.push_str(value.get());
    }
    text.push('}');
    Ok(text)
}

/// Replaces the text of a value that was borrowed from `text`.
fn replace(text: &str, value: &RawValue, by: &str) -> Vec<u8> {
    let start = value
        .get()
        .as_ptr()
        .addr()
        .saturating_sub(text.as_ptr().addr());
    let end = start.saturating_add(value.get().len());
    let before = text.get(..start).unwrap_or_default();
    let after = text.get(end..).unwrap_or_default();
    [before, by, after].concat().into_bytes()
}

fn insert_first(text: &str, field: &str, fields: &Fields<'_>) -> Vec<u8> {
    let (before, after) = text.split_once('{').unwrap_or_default();
    let comma = if fields.0.is_empty() { "" } else { "," };
    [before, "{", field, comma, after].concat().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn check(body: &str, expected: &str, asked: bool) {
        let prepared = prepare_request(body.as_bytes()).unwrap();
        assert_eq!(String::from_utf8(prepared.body).unwrap(), expected);
        assert_eq!(prepared.asked_for_usage, asked, "{body}");
    }

    #[test]
    fn only_what_must_change_changes() {
        let plain = r#" { "model":"m" , "temperature":1.0e0,"x":{"b":1,"a":2}}"#;
        check(plain, plain, false);
        check(
            r#"{ "stream" : true, "n":1.50 }"#,
            r#"{"stream_options":{"include_usage":true}, "stream" : true, "n":1.50 }"#,
            false,
        );
        let asked = r#"{"stream":true,"stream_options":{"include_usage":true,"x":1}}"#;
        check(asked, asked, true);
        check(
            r#"{"stream":true,"stream_options": {"x" : 1.0, "include_usage":false},"z":0}"#,
            r#"{"stream":true,"stream_options": {"include_usage":true,"x":1.0},"z":0}"#,
            false,
        );
        check(
            r#"{"stream":true,"stream_options":null}"#,
            r#"{"stream":true,"stream_options":{"include_usage":true}}"#,
            false,
        );
        check(
            r#"{"stream":false,"stream_options":{}}"#,
            r#"{"stream":false,"stream_options":{}}"#,
            false,
        );
    }

    #[test]
    fn a_model_is_named_in_place() {
        let named =
            |body: &str| String::from_utf8(set_model(body.as_bytes(), "a\"b").unwrap()).unwrap();
        assert_eq!(named("{ }"), r#"{"model":"a\"b" }"#);
        assert_eq!(named(r#"{"n":1.0}"#), r#"{"model":"a\"b","n":1.0}"#);
        assert_eq!(
            named(r#"{"n":1.0, "model" : "sam" }"#),
            r#"{"n":1.0, "model" : "a\"b" }"#
        );
        assert_eq!(named(r#"{"model":null}"#), r#"{"model":"a\"b"}"#);
    }

    #[test]
    fn what_is_read() {
        let prepared = prepare_request(br#"{"stream":true,"model":"a\u0062"}"#).unwrap();
        assert_eq!(
            (prepared.model.as_deref(), prepared.stream),
            (Some("ab"), true)
        );
        let prepared = prepare_request(br#"{"stream":null,"model":null}"#).unwrap();
        assert_eq!((prepared.model, prepared.stream), (None, false));
    }

    #[test]
    fn what_is_refused() {
        let refused = |body: &str| prepare_request(body.as_bytes()).unwrap_err();
        assert!(matches!(refused("[1]"), PrepareError::NotAnObject(_)));
        assert!(matches!(refused("{"), PrepareError::NotAnObject(_)));
        assert_eq!(
            refused(r#"{"model":"a","model":"b"}"#),
            PrepareError::Repeated("model")
        );
        assert_eq!(
            refused(r#"{"model":"a","mod\u0065l":"b"}"#),
            PrepareError::Repeated("model")
        );
        assert_eq!(
            refused(r#"{"stream":1}"#),
            PrepareError::WrongType("stream")
        );
        assert_eq!(
            refused(r#"{"stream_options":7}"#),
            PrepareError::WrongType("stream_options")
        );
    }

    proptest! {
        #[test]
        fn the_rest_of_the_body_is_the_same(
            keys in prop::collection::btree_map("[a-z\"\\\\ü]{1,5}", any::<i32>(), 0..6),
            pretty in any::<bool>(),
            options in prop::option::of(any::<bool>()),
        ) {
            let mut body = json!(keys);
            body["stream"] = json!(true);
            if let Some(include) = options {
                body["stream_options"] = json!({"include_usage": include, "k": 1});
            }
            let text = if pretty { serde_json::to_string_pretty(&body) } else { serde_json::to_string(&body) };
            let prepared = prepare_request(text.unwrap().as_bytes()).unwrap();
            let mut got: Value = serde_json::from_slice(&prepared.body).unwrap();
            prop_assert_eq!(&got["stream_options"]["include_usage"], &json!(true));
            got.as_object_mut().unwrap().remove("stream_options");
            body.as_object_mut().unwrap().remove("stream_options");
            prop_assert_eq!(got, body);
            prop_assert_eq!(prepared.asked_for_usage, options == Some(true));
        }
    }
}
