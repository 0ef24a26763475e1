//! What a reply cost, in tokens.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::Dialect;

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
    /// Of the input, written to the upstream's cache.
    #[serde(default)]
    pub cache_write: u64,
    /// Of the output, reasoning.
    #[serde(default)]
    pub reasoning: u64,
}

impl Usage {
    /// Reads the `usage` object of any dialect; none when it has neither a
    /// count of the prompt nor one of the reply.
    ///
    /// Messages counts cached tokens beside its `input_tokens`, the others
    /// within; here they are always within.
    pub fn read(raw: &Value) -> Option<Self> {
        let count = |pointer: &str| raw.pointer(pointer).and_then(Value::as_u64);
        let either = |one: &str, other: &str| count(one).or_else(|| count(other));
        let input = either("/prompt_tokens", "/input_tokens");
        let output = either("/completion_tokens", "/output_tokens");
        if input.is_none() && output.is_none() {
            return None;
        }
        let (mut input, output) = (input.unwrap_or(0), output.unwrap_or(0));
        let beside = [
            count("/cache_read_input_tokens"),
            count("/cache_creation_input_tokens"),
        ];
        let [read, written] = beside.map(Option::unwrap_or_default);
        input = input.saturating_add(read).saturating_add(written);
        let within = either(
            "/prompt_tokens_details/cached_tokens",
            "/input_tokens_details/cached_tokens",
        );
        let reasoning = either(
            "/completion_tokens_details/reasoning_tokens",
            "/output_tokens_details/reasoning_tokens",
        );
        Some(Self {
            input,
            output,
            total: count("/total_tokens").unwrap_or(input.saturating_add(output)),
            cached_input: within.unwrap_or(read),
            cache_write: written,
            reasoning: reasoning.unwrap_or(0),
        })
    }

    /// Writes the `usage` object of a dialect.
    pub fn write(&self, dialect: Dialect) -> Value {
        match dialect {
            Dialect::Chat => json!({
                "prompt_tokens": self.input,
                "completion_tokens": self.output,
                "total_tokens": self.total,
                "prompt_tokens_details": { "cached_tokens": self.cached_input },
                "completion_tokens_details": { "reasoning_tokens": self.reasoning },
            }),
            Dialect::Responses => json!({
                "input_tokens": self.input,
                "input_tokens_details": { "cached_tokens": self.cached_input },
                "output_tokens": self.output,
                "output_tokens_details": { "reasoning_tokens": self.reasoning },
                "total_tokens": self.total,
            }),
            Dialect::Messages => {
                let beside = self.cached_input.saturating_add(self.cache_write);
                json!({
                    "input_tokens": self.input.saturating_sub(beside),
                    "cache_creation_input_tokens": self.cache_write,
                    "cache_read_input_tokens": self.cached_input,
                    "output_tokens": self.output,
                })
            }
        }
    }

    /// The sum of two replies.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            input: self.input.saturating_add(other.input),
            output: self.output.saturating_add(other.output),
            total: self.total.saturating_add(other.total),
            cached_input: self.cached_input.saturating_add(other.cached_input),
            cache_write: self.cache_write.saturating_add(other.cache_write),
            reasoning: self.reasoning.saturating_add(other.reasoning),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_dialect_counts_in_its_own_way() {
        let usage = Usage {
            input: 100,
            output: 20,
            total: 120,
            cached_input: 60,
            cache_write: 0,
            reasoning: 0,
        };
        for dialect in Dialect::ALL {
            assert_eq!(
                Usage::read(&usage.write(dialect)),
                Some(usage),
                "{dialect:?}"
            );
        }
        let messages = json!({"input_tokens": 3, "cache_read_input_tokens": 50,
            "cache_creation_input_tokens": 7, "output_tokens": 2});
        let usage = Usage::read(&messages).unwrap();
        assert_eq!(
            (usage.input, usage.cached_input, usage.cache_write),
            (60, 50, 7)
        );
        assert_eq!(usage.total, 62);
    }

    #[test]
    fn details_are_read() {
        let raw = json!({"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15,
            "prompt_tokens_details": {"cached_tokens": 8},
            "completion_tokens_details": {"reasoning_tokens": 2}});
        let got = Usage::read(&raw).unwrap();
        assert_eq!((got.cached_input, got.reasoning), (8, 2));
        assert_eq!(Usage::read(&json!({"total_tokens": 3})), None);
        assert_eq!(
            Usage::read(&json!({"prompt_tokens": null, "completion_tokens": -1})),
            None
        );
    }
}
