//! A request on its way through: read for a few fields, minimally changed.
//!
//! Only the fields at the top are looked at; what is inside of them is skipped
//! by counting brackets. Edits splice text into the body, so every other byte,
//! also whitespace, number forms and unknown fields, arrives as it was sent.
//!
//! Invariant: a body that is JSON is read as any parser reads it. One that is
//! not may pass, and is refused by the upstream.

use std::borrow::Cow;
use std::ops::Range;

use serde::Deserialize;
use serde_json::Value;

use crate::{Dialect, json};

/// Why a request cannot be passed on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScanError {
    /// The body is not a JSON object.
    #[error("the request is not a JSON object: {0}")]
    NotAnObject(&'static str),
    /// A field that decides about routing or cost stands there twice, which
    /// two parsers may read differently.
    #[error("the field {0} stands in the request twice")]
    Repeated(&'static str),
    /// A field has the wrong type.
    #[error("the field {0} has the wrong type")]
    WrongType(&'static str),
}

/// What a request says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequestFacts {
    /// The model it names.
    pub model: Option<String>,
    /// Whether it wants a stream.
    pub stream: bool,
    /// Whether its stream ends with its usage. Only chat completions has to be
    /// asked.
    pub reports_usage: bool,
    /// The bound of each reply in tokens, if it names one.
    pub max_output: Option<u64>,
    /// How many replies it wants.
    pub replies: u64,
}

/// The fields of a request.
#[derive(Debug, Clone)]
pub struct RequestScan<'a> {
    body: &'a [u8],
    /// After the opening brace.
    first: usize,
    /// Keys and where their values stand.
    fields: Vec<(Cow<'a, str>, Range<usize>)>,
}

impl<'a> RequestScan<'a> {
    /// Scans a body.
    pub fn read(body: &'a [u8]) -> Result<Self, ScanError> {
        let mut at = Cursor { body, at: 0 };
        at.blank();
        at.expect(b'{', "it begins otherwise")?;
        let mut scan = Self {
            body,
            first: at.at,
            fields: Vec::new(),
        };
        at.blank();
        if at.peek() == Some(b'}') {
            at.at += 1;
        } else {
            loop {
                at.blank();
                let key = at.string()?;
                let key: Cow<'a, str> = json::read::<Borrowed<'a>>(key)
                    .map_err(|_| ScanError::NotAnObject("a field has no name"))?
                    .0;
                at.blank();
                at.expect(b':', "a field has no value")?;
                at.blank();
                let value = at.value()?;
                scan.fields.push((key, value));
                at.blank();
                match at.peek() {
                    Some(b',') => at.at += 1,
                    Some(b'}') => {
                        at.at += 1;
                        break;
                    }
                    _ => return Err(ScanError::NotAnObject("it ends too early")),
                }
            }
        }
        at.blank();
        match at.peek() {
            None => Ok(scan),
            Some(_) => Err(ScanError::NotAnObject("something follows it")),
        }
    }

    /// What decides about routing and cost.
    pub fn facts(&self, dialect: Dialect) -> Result<RequestFacts, ScanError> {
        let stream = self.field::<bool>("stream")?.unwrap_or(false);
        let mut max_output = None;
        for name in limits(dialect) {
            max_output = max_output.max(self.number(name)?);
        }
        let reports_usage = match dialect {
            Dialect::Chat => match self.field::<Value>("stream_options")? {
                None | Some(Value::Null) => false,
                Some(Value::Object(options)) => match options.get("include_usage") {
                    None | Some(Value::Null) => false,
                    Some(Value::Bool(asked)) => *asked,
                    Some(_) => return Err(ScanError::WrongType("include_usage")),
                },
                Some(_) => return Err(ScanError::WrongType("stream_options")),
            },
            Dialect::Responses | Dialect::Messages => true,
        };
        let replies = match dialect {
            Dialect::Chat => self.number("n")?.unwrap_or(1),
            Dialect::Responses | Dialect::Messages => 1,
        };
        Ok(RequestFacts {
            model: self.field("model")?,
            stream,
            reports_usage,
            max_output,
            replies,
        })
    }

    /// The body with other values for some fields; those it does not have are
    /// put first.
    pub fn with(&self, edits: &[(&'static str, Value)]) -> Result<Vec<u8>, ScanError> {
        let mut places = Vec::new();
        let mut added = String::new();
        for (name, value) in edits {
            match self.only(name)? {
                Some(place) => file(&mut places, (place, value.to_string())),
                None => {
                    let name = Value::from(*name);
                    added.push_str(&format!("{name}:{value},"));
                }
            }
        }
        if self.fields.is_empty() {
            added.pop();
        }
        file(&mut places, (self.first..self.first, added));
        let mut written = Vec::with_capacity(self.body.len() + 64);
        let mut from = 0;
        for (place, text) in places {
            written.extend_from_slice(self.body.get(from..place.start).unwrap_or_default());
            written.extend_from_slice(text.as_bytes());
            from = place.end;
        }
        written.extend_from_slice(self.body.get(from..).unwrap_or_default());
        Ok(written)
    }

    /// The edit that makes a stream of chat completions report its usage;
    /// other options stay.
    pub fn include_usage(&self) -> Result<(&'static str, Value), ScanError> {
        let options = self.field::<Value>("stream_options")?;
        let mut options = match options {
            Some(Value::Object(options)) => options,
            None | Some(Value::Null) => serde_json::Map::new(),
            Some(_) => return Err(ScanError::WrongType("stream_options")),
        };
        options.insert("include_usage".to_owned(), Value::Bool(true));
        Ok(("stream_options", Value::Object(options)))
    }

    /// The edits that bound each reply to `cap` tokens. A request that names no
    /// bound gets `field`, or what its dialect has; one that names one keeps
    /// its name.
    pub fn cap_output(
        &self,
        dialect: Dialect,
        cap: u64,
        field: Option<&'static str>,
    ) -> Result<Vec<(&'static str, Value)>, ScanError> {
        let mut edits = Vec::new();
        let mut named = false;
        for name in limits(dialect) {
            if let Some(limit) = self.number(name)? {
                named = true;
                if limit > cap {
                    edits.push((*name, Value::from(cap)));
                }
            }
        }
        let field = field.filter(|field| limits(dialect).contains(field));
        if let (false, Some(name)) = (named, field.or(limits(dialect).first().copied())) {
            edits.push((name, Value::from(cap)));
        }
        Ok(edits)
    }

    /// Where the one value of a field stands.
    fn only(&self, name: &'static str) -> Result<Option<Range<usize>>, ScanError> {
        let mut found = self.fields.iter().filter(|(key, _)| key == name);
        let place = found.next().map(|(_, place)| place.clone());
        match found.next() {
            Some(_) => Err(ScanError::Repeated(name)),
            None => Ok(place),
        }
    }

    /// A whole number; `5.0` is one.
    fn number(&self, name: &'static str) -> Result<Option<u64>, ScanError> {
        let Some(number) = self.field::<serde_json::Number>(name)? else {
            return Ok(None);
        };
        let text = number.to_string();
        let whole = text.strip_suffix(".0").unwrap_or(&text).parse();
        whole.map(Some).map_err(|_| ScanError::WrongType(name))
    }

    /// The value of a field; none when it is missing or null.
    fn field<T: for<'de> Deserialize<'de>>(
        &self,
        name: &'static str,
    ) -> Result<Option<T>, ScanError> {
        match self.only(name)? {
            None => Ok(None),
            Some(place) => {
                let text = self.body.get(place).unwrap_or_default();
                json::read(text).map_err(|_| ScanError::WrongType(name))
            }
        }
    }
}

/// Puts an edit where it comes in the body, after those at the same place.
fn file(edits: &mut Vec<(Range<usize>, String)>, edit: (Range<usize>, String)) {
    let at = edits.partition_point(|(place, _)| place.start <= edit.0.start);
    edits.insert(at, edit);
}

/// The fields that bound a reply.
fn limits(dialect: Dialect) -> &'static [&'static str] {
    match dialect {
        Dialect::Chat => &["max_tokens", "max_completion_tokens"],
        Dialect::Responses => &["max_output_tokens"],
        Dialect::Messages => &["max_tokens"],
    }
}

/// A string that borrows where it can.
#[derive(Deserialize)]
struct Borrowed<'a>(#[serde(borrow)] Cow<'a, str>);

struct Cursor<'a> {
    body: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn peek(&self) -> Option<u8> {
        self.body.get(self.at).copied()
    }

    fn rest(&self) -> &'a [u8] {
        self.body.get(self.at..).unwrap_or_default()
    }

    fn blank(&mut self) {
        let blank = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
        let rest = self.rest();
        self.at += rest
            .iter()
            .position(|byte| !blank(byte))
            .unwrap_or(rest.len());
    }

    fn expect(&mut self, byte: u8, otherwise: &'static str) -> Result<(), ScanError> {
        if self.peek() == Some(byte) {
            self.at += 1;
            Ok(())
        } else {
            Err(ScanError::NotAnObject(otherwise))
        }
    }

    /// A string with its quotes.
    fn string(&mut self) -> Result<&'a [u8], ScanError> {
        let from = self.at;
        self.expect(b'"', "a field has no name")?;
        self.end_of_string()?;
        Ok(self.body.get(from..self.at).unwrap_or_default())
    }

    /// From within a string to behind it.
    fn end_of_string(&mut self) -> Result<(), ScanError> {
        loop {
            let stop = memchr::memchr2(b'"', b'\\', self.rest());
            self.at += stop.ok_or(ScanError::NotAnObject("it ends too early"))?;
            if self.peek() == Some(b'"') {
                self.at += 1;
                return Ok(());
            }
            self.at += 2;
        }
    }

    /// From before a value to behind it.
    fn value(&mut self) -> Result<Range<usize>, ScanError> {
        let from = self.at;
        match self.peek() {
            Some(b'"') => {
                self.at += 1;
                self.end_of_string()?;
            }
            Some(b'{' | b'[') => self.nested()?,
            _ => {
                let ends =
                    |byte: &u8| matches!(byte, b',' | b'}' | b']' | b' ' | b'\t' | b'\r' | b'\n');
                let rest = self.rest();
                self.at += rest.iter().position(ends).unwrap_or(rest.len());
                if self.at == from {
                    return Err(ScanError::NotAnObject("a field has no value"));
                }
            }
        }
        Ok(from..self.at)
    }

    fn nested(&mut self) -> Result<(), ScanError> {
        let mut open = 0_u32;
        loop {
            let rest = self.rest();
            let mark = |byte: &u8| matches!(byte, b'"' | b'{' | b'}' | b'[' | b']');
            let stop = rest.iter().position(mark);
            self.at += stop.ok_or(ScanError::NotAnObject("it ends too early"))?;
            let byte = self.peek();
            self.at += 1;
            match byte {
                Some(b'"') => self.end_of_string()?,
                Some(b'{' | b'[') => open = open.saturating_add(1),
                _ => open = open.saturating_sub(1),
            }
            if open == 0 {
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn facts(dialect: Dialect, body: &str) -> Result<RequestFacts, ScanError> {
        RequestScan::read(body.as_bytes())?.facts(dialect)
    }

    #[test]
    fn each_dialect_names_its_limits_in_its_own_way() {
        let check = |dialect, body: &str, max_output, replies| {
            let facts = facts(dialect, body).unwrap();
            assert_eq!(facts.model.as_deref(), Some("m"), "{body}");
            assert_eq!(
                (facts.max_output, facts.replies),
                (max_output, replies),
                "{body}"
            );
        };
        let chat = Dialect::Chat;
        check(chat, r#"{"model":"m","max_tokens":5,"n":3}"#, Some(5), 3);
        check(
            chat,
            r#"{"max_completion_tokens":7.0,"model":"m"}"#,
            Some(7),
            1,
        );
        check(
            chat,
            r#"{"model":"\u006d","messages":[{"model":"x","max_tokens":1}]}"#,
            None,
            1,
        );
        check(
            Dialect::Responses,
            r#"{"model":"m","max_output_tokens":9,"n":3}"#,
            Some(9),
            1,
        );
        check(
            Dialect::Messages,
            r#"{ "model" : "m" , "max_tokens" : 4 }"#,
            Some(4),
            1,
        );
        let asked = r#"{"model":"m","stream":true,"stream_options":{"include_usage":true}}"#;
        assert!(facts(chat, asked).unwrap().reports_usage);
        assert!(!facts(chat, "{}").unwrap().reports_usage);
    }

    #[test]
    fn what_two_parsers_could_read_differently_is_refused() {
        for body in [
            r#"{"model":"a","model":"b"}"#,
            r#"{"model":"a","mod\u0065l":"b"}"#,
        ] {
            assert_eq!(
                facts(Dialect::Chat, body),
                Err(ScanError::Repeated("model"))
            );
        }
        for (body, field) in [
            (r#"{"stream":1}"#, "stream"),
            (r#"{"max_tokens":-1}"#, "max_tokens"),
            (r#"{"max_tokens":1.5}"#, "max_tokens"),
            (r#"{"n":"2"}"#, "n"),
            (r#"{"model":7}"#, "model"),
            (r#"{"stream_options":7}"#, "stream_options"),
            (r#"{"stream_options":{"include_usage":7}}"#, "include_usage"),
        ] {
            assert_eq!(
                facts(Dialect::Chat, body),
                Err(ScanError::WrongType(field)),
                "{body}"
            );
        }
        for body in [
            "",
            "[1]",
            "{",
            "{}x",
            r#"{"a"}"#,
            r#"{"a":}"#,
            r#"{"a":"\"}"#,
            r#"{"a":[}"#,
        ] {
            let refused = RequestScan::read(body.as_bytes());
            assert!(matches!(refused, Err(ScanError::NotAnObject(_))), "{body}");
        }
    }

    #[test]
    fn only_what_must_change_changes() {
        let body = br#" { "model" : "a" , "max_tokens":900,"x":[1.0, {"max_tokens":900}] }"#;
        let scan = RequestScan::read(body).unwrap();
        let mut edits = scan.cap_output(Dialect::Messages, 100, None).unwrap();
        edits.push(("model", json!("b")));
        edits.push(("new", json!(1)));
        assert_eq!(
            String::from_utf8(scan.with(&edits).unwrap()).unwrap(),
            r#" {"new":1, "model" : "b" , "max_tokens":100,"x":[1.0, {"max_tokens":900}] }"#
        );
        assert_eq!(scan.cap_output(Dialect::Messages, 900, None).unwrap(), []);
        let empty = RequestScan::read(b"{}").unwrap();
        let edits = empty.cap_output(Dialect::Responses, 5, None).unwrap();
        assert_eq!(empty.with(&edits).unwrap(), br#"{"max_output_tokens":5}"#);
    }

    #[test]
    fn a_bound_keeps_the_name_that_the_client_gave_it() {
        const OTHER: Option<&str> = Some("max_completion_tokens");
        for (dialect, body, field, capped) in [
            (Dialect::Chat, "{}", None, r#"{"max_tokens":5}"#),
            (Dialect::Chat, "{}", OTHER, r#"{"max_completion_tokens":5}"#),
            (
                Dialect::Responses,
                "{}",
                OTHER,
                r#"{"max_output_tokens":5}"#,
            ),
            (Dialect::Messages, "{}", OTHER, r#"{"max_tokens":5}"#),
            (
                Dialect::Chat,
                r#"{"max_tokens":9}"#,
                OTHER,
                r#"{"max_tokens":5}"#,
            ),
            (
                Dialect::Chat,
                r#"{"max_completion_tokens":9}"#,
                None,
                r#"{"max_completion_tokens":5}"#,
            ),
            (
                Dialect::Chat,
                r#"{"max_tokens":4}"#,
                OTHER,
                r#"{"max_tokens":4}"#,
            ),
        ] {
            let scan = RequestScan::read(body.as_bytes()).unwrap();
            let edits = scan.cap_output(dialect, 5, field).unwrap();
            let written = String::from_utf8(scan.with(&edits).unwrap()).unwrap();
            assert_eq!(written, capped, "{body} {field:?}");
        }
    }

    #[test]
    fn a_stream_is_made_to_report_its_usage_and_nothing_else_changes() {
        for (body, expected) in [
            (
                r#"{ "stream" : true, "x":1.50 }"#,
                r#"{"stream_options":{"include_usage":true}, "stream" : true, "x":1.50 }"#,
            ),
            (
                r#"{"stream":true,"stream_options": {"include_usage":false, "x" : 1.0},"z":0.0e1}"#,
                r#"{"stream":true,"stream_options": {"include_usage":true,"x":1.0},"z":0.0e1}"#,
            ),
            (
                r#"{"stream":true,"stream_options":null}"#,
                r#"{"stream":true,"stream_options":{"include_usage":true}}"#,
            ),
        ] {
            let scan = RequestScan::read(body.as_bytes()).unwrap();
            let edited = scan.with(&[scan.include_usage().unwrap()]).unwrap();
            assert_eq!(String::from_utf8(edited).unwrap(), expected);
        }
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "[a-z\"\\\\{}\\[\\],: \u{fc}]{0,12}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map("[a-z\"\\\\{}]{0,4}", inner, 0..4)
                    .prop_map(|fields| fields.into_iter().collect()),
            ]
        })
    }

    proptest! {
        #[test]
        fn it_reads_what_a_parser_reads(
            fields in prop::collection::btree_map("[a-z\"\\\\]{1,5}", any_json(), 0..6),
            model in "[a-z\"\\\\/@]{0,9}",
            pretty in any::<bool>(),
        ) {
            let mut body = json!(fields);
            body["model"] = json!(model);
            body["stream"] = json!(true);
            let text = if pretty { serde_json::to_string_pretty(&body) } else { serde_json::to_string(&body) };
            let text = text.unwrap();
            let scan = RequestScan::read(text.as_bytes()).unwrap();
            let facts = scan.facts(Dialect::Messages);
            if !fields.contains_key("max_tokens") {
                let facts = facts.unwrap();
                prop_assert_eq!((facts.model, facts.stream), (Some(model), true));
            }
            let edited = scan.with(&[("model", json!("other")), ("added", json!({"b": 1}))]).unwrap();
            let edited: Value = serde_json::from_slice(&edited).unwrap();
            body["model"] = json!("other");
            body["added"] = json!({"b": 1});
            prop_assert_eq!(edited, body);
        }

        #[test]
        fn nothing_makes_it_panic(body in "[{}\\[\\]\",:\\\\ a1]{0,40}") {
            let _ = facts(Dialect::Chat, &body);
        }
    }
}
