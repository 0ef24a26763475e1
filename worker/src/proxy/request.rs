//! A request on its way to the upstream: passed with few edits, or translated.

use sam_dialects::Dialect;
use sam_dialects::scan::{RequestFacts, RequestScan, ScanError};
use sam_dialects::translate::{Exchange, ReplyTranslator, translate};
use sam_dialects::{RequestError, Target};
use sam_domain::error::ApiError;
use serde_json::Value;

/// The name by which a client asks for whatever is configured.
const ALIAS: &str = "sam";

/// A request as it was asked.
pub(super) struct Asked<'a> {
    bytes: &'a [u8],
    client: Dialect,
    scan: RequestScan<'a>,
    facts: RequestFacts,
}

/// What is sent.
pub(super) struct Prepared {
    /// The body.
    pub(super) body: Vec<u8>,
    /// Whether the event that only reports usage must be taken out of the stream.
    pub(super) hide_usage: bool,
    /// Translates the reply, where client and upstream speak differently.
    pub(super) translation: Option<ReplyTranslator>,
    /// What a translation has to say of itself.
    pub(super) note: String,
}

impl<'a> Asked<'a> {
    /// Reads what has to be known of a request of a client that speaks so.
    pub(super) fn read(bytes: &'a [u8], client: Dialect) -> Result<Self, ApiError> {
        let refuse = |error: ScanError| malformed(error.to_string());
        let scan = RequestScan::read(bytes).map_err(refuse)?;
        let facts = scan.facts(client).map_err(refuse)?;
        Ok(Self {
            bytes,
            client,
            scan,
            facts,
        })
    }

    /// The model that it names; none when it asks for whatever is configured.
    pub(super) fn model(&self) -> Option<&str> {
        let named = self.facts.model.as_deref();
        named.filter(|model| *model != ALIAS && !model.is_empty())
    }

    /// What is sent to somebody who speaks so, about this model by its name there.
    pub(super) fn prepare(
        &self,
        target: &Target,
        model: &str,
        id: &str,
        now: u64,
    ) -> Result<Prepared, ApiError> {
        if self.client != target.dialect {
            let exchange = Exchange {
                client: self.client,
                target,
                model,
                id,
                now,
            };
            let translated = translate(&exchange, self.bytes).map_err(untranslatable)?;
            let mut note = format!("{}-to-{}", self.client.name(), target.dialect.name());
            if !translated.dropped.is_empty() {
                note.push_str("; dropped=");
                // Names that a client chose, in a header.
                let odd = |c: char| !c.is_ascii_graphic() && c != ' ';
                note.push_str(&translated.dropped.join(", ").replace(odd, "?"));
            }
            return Ok(Prepared {
                body: translated.body,
                hide_usage: false,
                translation: Some(translated.reply),
                note,
            });
        }
        let refuse = |error: ScanError| malformed(error.to_string());
        let mut edits = Vec::new();
        if self.facts.model.as_deref() != Some(model) {
            edits.push(("model", Value::from(model)));
        }
        let hide_usage = self.facts.stream && !self.facts.reports_usage;
        if hide_usage {
            edits.push(self.scan.include_usage().map_err(refuse)?);
        }
        let body = if edits.is_empty() {
            self.bytes.to_vec()
        } else {
            self.scan.with(&edits).map_err(refuse)?
        };
        Ok(Prepared {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn prepared(
        body: &str,
        client: Dialect,
        upstream: Dialect,
        default: &str,
    ) -> Result<(Prepared, String), ApiError> {
        let asked = Asked::read(body.as_bytes(), client)?;
        let model = asked.model().unwrap_or(default);
        let prepared = asked.prepare(&Target::new(upstream), model, "req", 1)?;
        Ok((prepared, model.to_owned()))
    }

    fn check(client: Dialect, body: &str, sent: &str, model: &str) {
        let (prepared, named) = prepared(body, client, client, "d").unwrap();
        assert_eq!(String::from_utf8(prepared.body).unwrap(), sent);
        assert_eq!(named, model);
    }

    #[test]
    fn a_request_leaves_with_a_model() {
        let named = r#"{"model":"x", "n":1.0}"#;
        check(Dialect::Chat, named, named, "x");
        check(
            Dialect::Chat,
            r#"{"model":"sam", "n":1.0}"#,
            r#"{"model":"d", "n":1.0}"#,
            "d",
        );
        check(Dialect::Messages, "{}", r#"{"model":"d"}"#, "d");
        check(
            Dialect::Chat,
            r#"{"stream":true,"model":null}"#,
            r#"{"stream_options":{"include_usage":true},"stream":true,"model":"d"}"#,
            "d",
        );
        let stream = r#"{"stream":true,"model":"x","odd":1.0}"#;
        check(Dialect::Responses, stream, stream, "x");
        check(Dialect::Messages, stream, stream, "x");
    }

    #[test]
    fn a_model_leaves_by_its_name_upstream() {
        let asked = Asked::read(br#"{"model":"x", "n":1.0}"#, Dialect::Chat).unwrap();
        let prepared = asked
            .prepare(&Target::new(Dialect::Chat), "their/x", "req", 1)
            .unwrap();
        assert_eq!(prepared.body, br#"{"model":"their/x", "n":1.0}"#);
    }

    #[test]
    fn a_request_that_cannot_be_passed_on_is_refused() {
        for body in ["[]", r#"{"model":"a","model":"b"}"#] {
            for dialect in Dialect::ALL {
                let error = Asked::read(body.as_bytes(), dialect).err().unwrap();
                let found = (error.status, error.code.as_str());
                assert_eq!(found, (400, "malformed_body"), "{body}");
            }
        }
    }

    #[test]
    fn a_request_is_translated_for_an_upstream_that_speaks_otherwise() {
        let body = r#"{"model":"sam","max_tokens":5,"metadata":{"user_id":"u"},
            "messages":[{"role":"user","content":"hi"}]}"#;
        let (sent, _) = prepared(body, Dialect::Messages, Dialect::Chat, "d").unwrap();
        assert_eq!(sent.note, "messages-to-chat; dropped=metadata");
        let body: Value = serde_json::from_slice(&sent.body).unwrap();
        assert_eq!(body["model"], "d");
        assert_eq!(body["messages"][0]["content"], "hi");
        let refused = r#"{"model":"m","input":"hi","previous_response_id":"r"}"#;
        let refused = prepared(refused, Dialect::Responses, Dialect::Chat, "d");
        assert_eq!(refused.err().unwrap().code, "not_translatable");
    }
}
