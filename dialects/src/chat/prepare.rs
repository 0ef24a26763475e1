//! A request on its way through, as chat completions need it.
//!
//! The one edit: a streaming request is made to ask for its usage.

use serde_json::Value;

use crate::Dialect;
use crate::scan::{RequestScan, ScanError};

/// Why a request cannot be passed on.
pub type PrepareError = ScanError;

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

/// Reads a chat request and makes a streaming one ask for its usage.
pub fn prepare_request(body: &[u8]) -> Result<PreparedRequest, PrepareError> {
    let scan = RequestScan::read(body)?;
    let facts = scan.facts(Dialect::Chat)?;
    let body = if facts.stream && !facts.reports_usage {
        scan.with(&[scan.include_usage()?])?
    } else {
        body.to_vec()
    };
    Ok(PreparedRequest {
        model: facts.model,
        stream: facts.stream,
        asked_for_usage: facts.reports_usage,
        body,
    })
}

/// Makes a request name `model`: in the place of the one it names, or as its
/// first field. Every other byte stays as it was sent.
pub fn set_model(body: &[u8], model: &str) -> Result<Vec<u8>, PrepareError> {
    RequestScan::read(body)?.with(&[("model", Value::from(model))])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

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
            r#"{ "stream" : true, "x":1.50 }"#,
            r#"{"stream_options":{"include_usage":true}, "stream" : true, "x":1.50 }"#,
            false,
        );
        let asked = r#"{"stream":true,"stream_options":{"include_usage":true,"x":1}}"#;
        check(asked, asked, true);
        check(
            r#"{"stream":true,"stream_options": {"x" : 1.0, "include_usage":false},"z":0.0e1}"#,
            r#"{"stream":true,"stream_options": {"include_usage":true,"x":1.0},"z":0.0e1}"#,
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
            keys in prop::collection::btree_map("[a-z\"\\\\ü]{2,5}", any::<i32>(), 0..6),
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
