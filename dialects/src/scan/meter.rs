//! What a reply cost, seen while it passes.
//!
//! Nothing is parsed while bytes pass. Of a stream the first and last 16 KiB
//! are kept, because a stream reports its usage in its first or last events.
//! Of a single JSON document the `usage` at its top is found by counting
//! braces.
//!
//! Words of a model cannot be taken for usage: in a stream they stand in
//! strings, where their quotes are escaped, and in a document they stand
//! deeper.

use serde_json::{Map, Value};

use crate::depth::Depth;
use crate::usage::Usage;

const KEPT: usize = 16 * 1024;
const KEY: &[u8] = b"\"usage\"";

/// What a reply said of its cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metered {
    /// This.
    Reported(Usage),
    /// Nothing; it may have ended too early.
    Absent,
    /// It cannot be read, because it is neither a stream of events nor JSON:
    /// compressed, for instance.
    Unreadable,
}

/// Finds the usage in a reply that passes through, of any dialect.
#[derive(Debug, Default)]
pub struct UsageScan {
    bytes: u64,
    form: Form,
}

#[derive(Debug, Default)]
enum Form {
    #[default]
    Unknown,
    Stream(Ends),
    Document(Document),
    Unreadable,
}

impl UsageScan {
    /// A scan that has seen nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// A scan that has seen a stream of so many bytes, of which these are the first and the last. What
    /// is no stream of events has to be seen whole.
    pub fn of_ends(head: &[u8], tail: &[u8], bytes: u64) -> Self {
        let mut scan = Self::new();
        scan.push(head);
        let held = length(head).saturating_add(length(tail));
        match &mut scan.form {
            Form::Stream(ends) if held < bytes => {
                ends.tail = tail.to_vec();
                ends.bytes = bytes;
            }
            Form::Document(_) if held < bytes => scan.form = Form::Unreadable,
            _ => scan.push(tail),
        }
        scan.bytes = bytes;
        scan
    }

    /// Takes the next bytes of the reply's body.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes = self.bytes.saturating_add(length(bytes));
        if let Form::Unknown = self.form {
            // A byte-order mark is nobody's first byte here but a stream's.
            let first = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
            self.form = match first {
                None => return,
                Some(b'{' | b'[') => Form::Document(Document::default()),
                Some(b':' | 0xef) => Form::Stream(Ends::default()),
                Some(byte) if byte.is_ascii_alphabetic() => Form::Stream(Ends::default()),
                Some(_) => Form::Unreadable,
            };
        }
        match &mut self.form {
            Form::Stream(ends) => ends.push(bytes),
            Form::Document(document) => document.push(bytes),
            Form::Unknown | Form::Unreadable => {}
        }
    }

    /// How many bytes have passed.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// What was seen so far; to be called at the end, or where the client
    /// left.
    pub fn metered(&self) -> Metered {
        let found = match &self.form {
            Form::Unreadable => return Metered::Unreadable,
            Form::Unknown => None,
            Form::Stream(ends) => ends.usage(),
            Form::Document(document) => document.usage,
        };
        found.map_or(Metered::Absent, Metered::Reported)
    }

    /// The usage, if it was reported.
    pub fn usage(&self) -> Option<Usage> {
        match self.metered() {
            Metered::Reported(usage) => Some(usage),
            Metered::Absent | Metered::Unreadable => None,
        }
    }
}

/// The ends of a stream.
#[derive(Debug, Default)]
struct Ends {
    head: Vec<u8>,
    tail: Vec<u8>,
    bytes: u64,
}

impl Ends {
    fn push(&mut self, bytes: &[u8]) {
        self.bytes = self.bytes.saturating_add(length(bytes));
        let room = KEPT.saturating_sub(self.head.len()).min(bytes.len());
        let (first, rest) = bytes.split_at(room);
        self.head.extend_from_slice(first);
        let skip = rest.len().saturating_sub(KEPT);
        self.tail
            .extend_from_slice(rest.get(skip..).unwrap_or_default());
        if self.tail.len() > 2 * KEPT {
            let excess = self.tail.len() - KEPT;
            self.tail.drain(..excess);
        }
    }

    /// The last usage, completed by what only the first one says: Messages
    /// counts the prompt at the beginning and the reply at the end.
    fn usage(&self) -> Option<Usage> {
        let held = self.head.len().saturating_add(self.tail.len());
        let (first, last) = if u64::try_from(held) == Ok(self.bytes) {
            let all = [self.head.as_slice(), self.tail.as_slice()].concat();
            (first_usage(&all), last_usage(&all))
        } else {
            let last = last_usage(&self.tail).or_else(|| last_usage(&self.head));
            (first_usage(&self.head), last)
        };
        let mut merged = first.filter(|usage| usage.contains_key("input_tokens"));
        match (&mut merged, last) {
            (Some(merged), Some(last)) => {
                merged.extend(last.into_iter().filter(|(_, value)| !value.is_null()));
            }
            (None, last) => merged = last,
            (Some(_), None) => {}
        }
        Usage::read(&Value::Object(merged?))
    }
}

fn first_usage(bytes: &[u8]) -> Option<Map<String, Value>> {
    let mut at = 0;
    loop {
        let rest = bytes.get(at..)?;
        let found = rest.windows(KEY.len()).position(|window| window == KEY)?;
        at = at.saturating_add(found + KEY.len());
        if let Some(usage) = bytes.get(at..).and_then(usage_after) {
            return Some(usage);
        }
    }
}

fn last_usage(bytes: &[u8]) -> Option<Map<String, Value>> {
    let mut end = bytes.len();
    loop {
        let before = bytes.get(..end)?;
        let at = before
            .windows(KEY.len())
            .rposition(|window| window == KEY)?;
        if let Some(usage) = bytes.get(at + KEY.len()..).and_then(usage_after) {
            return Some(usage);
        }
        end = at + KEY.len() - 1;
    }
}

/// The usage object that follows its key.
fn usage_after(bytes: &[u8]) -> Option<Map<String, Value>> {
    let value = bytes.trim_ascii_start().strip_prefix(b":")?;
    let mut values = serde_json::Deserializer::from_slice(value).into_iter::<Value>();
    match values.next() {
        Some(Ok(value)) if Usage::read(&value).is_some() => match value {
            Value::Object(fields) => Some(fields),
            _ => None,
        },
        _ => None,
    }
}

/// The `usage` at the top of a document.
#[derive(Debug, Default)]
struct Document {
    depth: Depth,
    /// The last bytes of the string at the top that is open or was last.
    key: Vec<u8>,
    /// What follows the key, while it is the usage.
    value: Option<Vec<u8>>,
    usage: Option<Usage>,
}

impl Document {
    fn push(&mut self, bytes: &[u8]) {
        for byte in bytes {
            let was_in_string = self.depth.in_string();
            let was_open = self.depth.open();
            self.depth.byte(*byte);
            if let Some(value) = &mut self.value {
                value.push(*byte);
                let over = self.depth.open() < 2 && matches!(byte, b'}' | b']' | b',');
                if over || value.len() > KEPT {
                    self.take();
                }
            } else if was_open == 1 {
                if was_in_string || self.depth.in_string() {
                    if !was_in_string {
                        self.key.clear();
                    }
                    if self.key.len() <= KEY.len() {
                        self.key.push(*byte);
                    }
                } else if *byte == b':' && self.key == KEY {
                    self.value = Some(Vec::new());
                }
            }
        }
    }

    fn take(&mut self) {
        let value = self.value.take().unwrap_or_default();
        self.key.clear();
        if let Some(Ok(value)) = serde_json::Deserializer::from_slice(&value)
            .into_iter::<Value>()
            .next()
        {
            self.usage = Usage::read(&value).or(self.usage);
        }
    }
}

fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn scan(chunks: impl IntoIterator<Item = impl AsRef<[u8]>>) -> Option<Usage> {
        let mut scan = UsageScan::new();
        for chunk in chunks {
            scan.push(chunk.as_ref());
            if let Form::Stream(ends) = &scan.form {
                assert!(ends.tail.capacity() < 8 * KEPT && ends.head.len() <= KEPT);
            }
        }
        scan.usage()
    }

    fn usage(input: u64, output: u64) -> Option<Usage> {
        let total = input + output;
        Some(Usage {
            input,
            output,
            total,
            ..Usage::default()
        })
    }

    #[test]
    fn the_last_usage_of_a_stream_counts() {
        let stream = "data: {\"choices\":[{\"delta\":{\"content\":\"x\"}}],\"usage\":null}\n\n\
            data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":1,\"total_tokens\":2}}\n\n\
            data: {\"choices\":[],\"usage\" : {\"prompt_tokens\":11,\"completion_tokens\":7,\"total_tokens\":18}}\n\n\
            data: [DONE]\n\n";
        assert_eq!(scan([stream]), usage(11, 7));
    }

    #[test]
    fn words_of_the_model_are_not_usage() {
        let said = json!({"usage": {"prompt_tokens": 666, "completion_tokens": 6}}).to_string();
        let reply = json!({"usage": {"prompt_tokens": 3, "completion_tokens": 4},
            "choices": [{"message": {"content": said}}]})
        .to_string();
        assert_eq!(scan([reply]), usage(3, 4));
    }

    #[test]
    fn a_long_json_reply_may_report_at_its_start() {
        let long = "y".repeat(200_000);
        let reply = format!(
            r#"{{"usage":{{"prompt_tokens":5,"completion_tokens":6}},"choices":[{{"message":{{"content":"{long}"}}}}]}}"#
        );
        assert_eq!(scan(reply.as_bytes().chunks(1000)), usage(5, 6));
    }

    #[test]
    fn nothing_reported_is_nothing() {
        assert_eq!(scan(["data: [DONE]\n\n"]), None);
        assert_eq!(scan([r#"{"usage":null}"#]), None);
        assert_eq!(scan([r#"{"usage":{"prompt_tokens":1"#]), None);
    }

    #[test]
    fn messages_counts_at_both_ends() {
        let start = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"usage\":\
            {\"input_tokens\":10,\"cache_read_input_tokens\":90,\"output_tokens\":1}}}\n\n";
        let middle = format!("data: {{\"text\":\"{}\"}}\n\n", "z".repeat(100_000));
        let end = "event: message_delta\ndata: {\"type\":\"message_delta\",\"usage\":{\"output_tokens\":25}}\n\n";
        for middle in ["", middle.as_str()] {
            let got = scan([start, middle, end]).unwrap();
            assert_eq!((got.input, got.cached_input, got.output), (100, 90, 25));
        }
        let left = scan([start]).unwrap();
        assert_eq!((left.input, left.output), (100, 1), "the client left");
    }

    #[test]
    fn responses_counts_within_its_last_event() {
        let output = "y".repeat(100_000);
        let last = format!(
            "data: {{\"type\":\"response.completed\",\"response\":{{\"output\":\"{output}\",\
            \"usage\":{{\"input_tokens\":7,\"output_tokens\":8,\"total_tokens\":15}},\"user\":null}}}}\n\n"
        );
        let first = "event: response.created\ndata: {\"response\":{\"usage\":null}}\n\n";
        assert_eq!(scan([first, &last]), usage(7, 8));
    }

    #[test]
    fn what_a_tool_is_called_with_is_not_usage() {
        let forged = json!({"usage": {"input_tokens": 0, "output_tokens": 0}});
        let reply = json!({"a_usage": {"input_tokens": 1}, "usage": {"input_tokens": 30, "output_tokens": 4},
            "z": [{"type": "tool_use", "input": forged}]});
        assert_eq!(scan([reply.to_string()]), usage(30, 4));
    }

    #[test]
    fn what_cannot_be_read_is_told_apart() {
        let metered = |bytes: &[u8]| {
            let mut scan = UsageScan::new();
            bytes.iter().for_each(|byte| scan.push(&[*byte]));
            scan.metered()
        };
        assert_eq!(metered(b"\x1f\x8b\x08\x00"), Metered::Unreadable);
        assert_eq!(metered(b""), Metered::Absent);
        assert_eq!(metered(b"data: {}\n\n"), Metered::Absent);
        assert_eq!(metered(b"{\"usage\":null}"), Metered::Absent);
    }

    proptest! {
        #[test]
        fn length_and_chunking_do_not_matter(before in 0_usize..120_000, chunk in 1_usize..40_000) {
            let stream = format!("data: {{\"x\":\"{}\"}}\n\ndata: {{\"choices\":[],\"usage\":\
                {{\"prompt_tokens\":9,\"completion_tokens\":8}}}}\n\ndata: [DONE]\n\n", "z".repeat(before));
            prop_assert_eq!(scan(stream.as_bytes().chunks(chunk)), usage(9, 8));
            let (head, rest) = stream.as_bytes().split_at(stream.len().min(KEPT));
            let tail = &rest[rest.len().saturating_sub(KEPT)..];
            let ends = UsageScan::of_ends(head, tail, length(stream.as_bytes()));
            prop_assert_eq!(ends.usage(), usage(9, 8));
        }
    }
}
