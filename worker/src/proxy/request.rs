//! A request on its way to the upstream: passed with few edits, or translated.

use sam_dialects::Dialect;
use sam_dialects::scan::{RequestScan, ScanError};
use sam_dialects::translate::{Exchange, ReplyTranslator, translate};
use sam_dialects::{RequestError, Target};
use sam_domain::error::ApiError;
use serde_json::Value;

use super::upstream::Upstream;
use crate::call::Call;

/// The name by which a client asks for whatever is configured.
const ALIAS: &str = "sam";

/// What is sent.
pub(super) struct Prepared {
    /// Where to.
    pub(super) url: String,
    /// How the upstream speaks.
    pub(super) dialect: Dialect,
    /// The model, by its name upstream.
    pub(super) model: String,
    /// The body.
    pub(super) body: Vec<u8>,
    /// Whether the event that only reports usage must be taken out of the stream.
    pub(super) hide_usage: bool,
    /// Translates the reply, where client and upstream speak differently.
    pub(super) translation: Option<ReplyTranslator>,
    /// What a translation has to say of itself.
    pub(super) note: String,
}

pub(super) fn prepare(
    bytes: &[u8],
    client: Dialect,
    upstream: &Upstream,
    call: &Call,
) -> Result<Prepared, ApiError> {
    let now = call.now.0 / 1000;
    let request = Request {
        bytes,
        client,
        upstream: upstream.speaks(client),
        default: upstream.model.as_deref(),
    };
    let mut prepared = request.prepare(&call.id.to_string(), now)?;
    let query = call.url.query().filter(|_| prepared.translation.is_none());
    prepared.url = upstream.endpoint(prepared.dialect.path(), query);
    Ok(prepared)
}

struct Request<'a> {
    bytes: &'a [u8],
    client: Dialect,
    upstream: Dialect,
    default: Option<&'a str>,
}

impl Request<'_> {
    fn prepare(&self, id: &str, now: u64) -> Result<Prepared, ApiError> {
        let refuse = |error: ScanError| malformed(error.to_string());
        let scan = RequestScan::read(self.bytes).map_err(refuse)?;
        let facts = scan.facts(self.client).map_err(refuse)?;
        let named = facts
            .model
            .filter(|model| model != ALIAS && !model.is_empty());
        let mut edits = Vec::new();
        let model = match (named, self.default) {
            (Some(named), _) => named,
            (None, Some(default)) => {
                edits.push(("model", Value::from(default)));
                default.to_owned()
            }
            (None, None) => return Err(nameless()),
        };
        if self.client != self.upstream {
            let target = Target::new(self.upstream);
            let exchange = Exchange {
                client: self.client,
                target: &target,
                model: &model,
                id,
                now,
            };
            let translated = translate(&exchange, self.bytes).map_err(untranslatable)?;
            let mut note = format!("{}-to-{}", self.client.name(), self.upstream.name());
            if !translated.dropped.is_empty() {
                note.push_str("; dropped=");
                // Names that a client chose, in a header.
                let odd = |c: char| !c.is_ascii_graphic() && c != ' ';
                note.push_str(&translated.dropped.join(", ").replace(odd, "?"));
            }
            return Ok(Prepared {
                url: String::new(),
                dialect: self.upstream,
                model,
                body: translated.body,
                hide_usage: false,
                translation: Some(translated.reply),
                note,
            });
        }
        let hide_usage = facts.stream && !facts.reports_usage;
        if hide_usage {
            edits.push(scan.include_usage().map_err(refuse)?);
        }
        let body = if edits.is_empty() {
            self.bytes.to_vec()
        } else {
            scan.with(&edits).map_err(refuse)?
        };
        Ok(Prepared {
            url: String::new(),
            dialect: self.upstream,
            model,
            body,
            hide_usage,
            translation: None,
            note: String::new(),
        })
    }
}

fn malformed(why: String) -> ApiError {
    ApiError::new(400, "malformed_body", format!("Refused: {why}."))
}

fn untranslatable(error: RequestError) -> ApiError {
    match error {
        RequestError::Untranslatable { .. } => {
            ApiError::new(400, "not_translatable", format!("Refused: {error}."))
                .hint("Choose a model whose API speaks as this client does.")
        }
        RequestError::NotAnObject(_) | RequestError::Malformed { .. } => {
            malformed(error.to_string())
        }
    }
}

fn nameless() -> ApiError {
    ApiError::new(
        400,
        "model_required",
        "The request names no model and no default is configured.",
    )
    .hint("Name one of GET /ai/v1/models, or set SAM_MODEL.")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prepared(
        body: &str,
        client: Dialect,
        upstream: Dialect,
        default: Option<&str>,
    ) -> Result<Prepared, ApiError> {
        let request = Request {
            bytes: body.as_bytes(),
            client,
            upstream,
            default,
        };
        request.prepare("req", 1)
    }

    fn check(client: Dialect, body: &str, default: Option<&str>, sent: &str, model: &str) {
        let prepared = prepared(body, client, client, default).unwrap();
        assert_eq!(String::from_utf8(prepared.body).unwrap(), sent);
        assert_eq!(prepared.model, model);
    }

    #[test]
    fn a_request_leaves_with_a_model() {
        let named = r#"{"model":"x", "n":1.0}"#;
        check(Dialect::Chat, named, Some("d"), named, "x");
        check(
            Dialect::Chat,
            r#"{"model":"sam", "n":1.0}"#,
            Some("d"),
            r#"{"model":"d", "n":1.0}"#,
            "d",
        );
        check(Dialect::Messages, "{}", Some("d"), r#"{"model":"d"}"#, "d");
        check(
            Dialect::Chat,
            r#"{"stream":true,"model":null}"#,
            Some("d"),
            r#"{"stream_options":{"include_usage":true},"stream":true,"model":"d"}"#,
            "d",
        );
        let stream = r#"{"stream":true,"model":"x","odd":1.0}"#;
        check(Dialect::Responses, stream, Some("d"), stream, "x");
        check(Dialect::Messages, stream, Some("d"), stream, "x");
    }

    #[test]
    fn a_request_that_cannot_be_passed_on_is_refused() {
        for (body, default, code) in [
            ("{}", None, "model_required"),
            (r#"{"model":"sam"}"#, None, "model_required"),
            ("[]", Some("d"), "malformed_body"),
            (r#"{"model":"a","model":"b"}"#, Some("d"), "malformed_body"),
        ] {
            for dialect in Dialect::ALL {
                let error = prepared(body, dialect, dialect, default).err().unwrap();
                assert_eq!((error.status, error.code.as_str()), (400, code), "{body}");
            }
        }
    }

    #[test]
    fn a_request_is_translated_for_an_upstream_that_speaks_otherwise() {
        let body = r#"{"model":"sam","max_tokens":5,"metadata":{"user_id":"u"},
            "messages":[{"role":"user","content":"hi"}]}"#;
        let sent = prepared(body, Dialect::Messages, Dialect::Chat, Some("d")).unwrap();
        assert_eq!((sent.dialect, sent.model.as_str()), (Dialect::Chat, "d"));
        assert_eq!(sent.note, "messages-to-chat; dropped=metadata");
        let body: Value = serde_json::from_slice(&sent.body).unwrap();
        assert_eq!(body["model"], "d");
        assert_eq!(body["messages"][0]["content"], "hi");
        let refused = r#"{"model":"m","input":"hi","previous_response_id":"r"}"#;
        let refused = prepared(refused, Dialect::Responses, Dialect::Chat, None);
        assert_eq!(refused.err().unwrap().code, "not_translatable");
    }
}
