//! What a reply cost, in tokens.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Tokens of one reply, as the upstream reported them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Tokens of the prompt, cached ones included.
    pub input: u64,
    /// Tokens of the completion, reasoning included.
    pub output: u64,
    /// Both.
    pub total: u64,
    /// Of the input, read from the upstream's cache.
    #[serde(default)]
    pub cached_input: u64,
    /// Of the output, reasoning.
    #[serde(default)]
    pub reasoning: u64,
}

impl Usage {
    /// Reads the `usage` object of a chat completion; none when it has neither
    /// a prompt nor a completion count.
    pub fn from_chat(raw: &Value) -> Option<Self> {
        let count = |pointer: &str| raw.pointer(pointer).and_then(Value::as_u64);
        let input = count("/prompt_tokens");
        let output = count("/completion_tokens");
        if input.is_none() && output.is_none() {
            return None;
        }
        let (input, output) = (input.unwrap_or(0), output.unwrap_or(0));
        Some(Self {
            input,
            output,
            total: count("/total_tokens").unwrap_or(input.saturating_add(output)),
            cached_input: count("/prompt_tokens_details/cached_tokens").unwrap_or(0),
            reasoning: count("/completion_tokens_details/reasoning_tokens").unwrap_or(0),
        })
    }

    /// The sum of two replies.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            input: self.input.saturating_add(other.input),
            output: self.output.saturating_add(other.output),
            total: self.total.saturating_add(other.total),
            cached_input: self.cached_input.saturating_add(other.cached_input),
            reasoning: self.reasoning.saturating_add(other.reasoning),
        }
    }
}

const KEPT: usize = 16 * 1024;

/// Finds the usage in a reply that passes through, at the cost of a copy of
/// its first and last 16 KiB.
///
/// Nothing is parsed while bytes pass. At the end the last `"usage": {…}` is
/// taken: streams report it in their last events, plain JSON replies in their
/// first or last fields. A key that stands in a model's text cannot be taken
/// for it, because its quotes are escaped there.
#[derive(Debug, Default)]
pub struct UsageScan {
    head: Vec<u8>,
    tail: Vec<u8>,
    bytes: u64,
}

impl UsageScan {
    /// A scan that has seen nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes of the reply's body.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes = self
            .bytes
            .saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
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

    /// How many bytes have passed.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The usage seen so far; to be called at the end, or where the client
    /// left.
    pub fn usage(&self) -> Option<Usage> {
        // While the tail starts where the head ends, the object may span both.
        if self.bytes <= u64::try_from(3 * KEPT).unwrap_or(u64::MAX) {
            let held = self.head.len().saturating_add(self.tail.len());
            if u64::try_from(held) == Ok(self.bytes) {
                return last_usage(&[self.head.as_slice(), self.tail.as_slice()].concat());
            }
        }
        last_usage(&self.tail).or_else(|| last_usage(&self.head))
    }
}

fn last_usage(bytes: &[u8]) -> Option<Usage> {
    const KEY: &[u8] = b"\"usage\"";
    let mut end = bytes.len();
    loop {
        let at = bytes
            .get(..end)?
            .windows(KEY.len())
            .rposition(|w| w == KEY)?;
        let after = bytes.get(at + KEY.len()..)?.trim_ascii_start();
        if let Some(value) = after.strip_prefix(b":") {
            let mut values = serde_json::Deserializer::from_slice(value).into_iter::<Value>();
            if let Some(Ok(value)) = values.next()
                && let Some(usage) = Usage::from_chat(&value)
            {
                return Some(usage);
            }
        }
        end = at + KEY.len() - 1;
    }
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
            assert!(scan.tail.capacity() < 8 * KEPT && scan.head.len() <= KEPT);
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
    fn details_are_read() {
        let raw = json!({"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15,
            "prompt_tokens_details": {"cached_tokens": 8},
            "completion_tokens_details": {"reasoning_tokens": 2}});
        let got = Usage::from_chat(&raw).unwrap();
        assert_eq!((got.cached_input, got.reasoning), (8, 2));
    }

    proptest! {
        #[test]
        fn length_and_chunking_do_not_matter(before in 0_usize..120_000, chunk in 1_usize..40_000) {
            let stream = format!("data: {{\"x\":\"{}\"}}\n\ndata: {{\"choices\":[],\"usage\":\
                {{\"prompt_tokens\":9,\"completion_tokens\":8}}}}\n\ndata: [DONE]\n\n", "z".repeat(before));
            prop_assert_eq!(scan(stream.as_bytes().chunks(chunk)), usage(9, 8));
        }
    }
}
