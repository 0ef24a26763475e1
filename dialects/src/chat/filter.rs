//! Takes the usage chunk out of a stream that passes through.
//!
//! Bytes are held back only until their event is whole; every event but the
//! one with empty `choices` and a `usage` leaves exactly as it came. An event
//! is parsed only when it names both. Lines are taken to end in LF or CRLF; a
//! stream of bare CRs would be held back up to the bound and then pass.

use serde_json::Value;

const MAX_HELD: usize = 64 * 1024;

/// Takes the usage chunk out of a stream.
#[derive(Debug, Default)]
pub struct UsageChunkFilter {
    /// The event so far, as long as it may still be the usage chunk.
    held: Vec<u8>,
    /// Bytes of the current line that have been seen; a CR is not counted.
    line_length: usize,
    /// The current event is too long to be the usage chunk and passes.
    passing: bool,
}

impl UsageChunkFilter {
    /// A filter at the start of a stream.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes and returns those that may leave.
    pub fn push(&mut self, mut bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.held.len() + bytes.len());
        while !bytes.is_empty() {
            let newline = bytes.iter().position(|byte| *byte == b'\n');
            let (line, rest) = bytes.split_at(newline.map_or(bytes.len(), |at| at + 1));
            bytes = rest;
            self.held.extend_from_slice(line);
            let content = line.strip_suffix(b"\n").unwrap_or(line);
            let visible = content.iter().filter(|byte| **byte != b'\r').count();
            self.line_length = self.line_length.saturating_add(visible);
            if newline.is_some() && std::mem::take(&mut self.line_length) == 0 {
                self.end_event(&mut out);
            } else if self.passing || self.held.len() > MAX_HELD {
                self.passing = true;
                out.append(&mut self.held);
            }
        }
        out
    }

    /// The end of the stream: what is still held back.
    pub fn finish(mut self) -> Vec<u8> {
        let mut out = Vec::new();
        self.end_event(&mut out);
        out
    }

    fn end_event(&mut self, out: &mut Vec<u8>) {
        let drop = !std::mem::take(&mut self.passing) && is_usage_chunk(&self.held);
        if drop {
            self.held.clear();
        } else {
            out.append(&mut self.held);
        }
    }
}

fn is_usage_chunk(event: &[u8]) -> bool {
    let names = |key: &[u8]| event.windows(key.len()).any(|window| window == key);
    if !names(b"\"usage\"") || !names(b"\"choices\"") {
        return false;
    }
    let mut data = Vec::new();
    for line in event.split(|byte| *byte == b'\n') {
        if let Some(value) = line.strip_prefix(b"data:") {
            data.extend_from_slice(value);
            data.push(b'\n');
        }
    }
    let Ok(chunk) = serde_json::from_slice::<Value>(&data) else {
        return false;
    };
    let empty = chunk.get("choices").and_then(Value::as_array);
    empty.is_some_and(Vec::is_empty) && chunk.get("usage").is_some_and(Value::is_object)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TEXT: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"x\"}}],\"usage\":null}\n\n";
    const USAGE: &str = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1}}\n\n";
    const BOTH: &str = "data: {\"choices\":[{\"delta\":{}}],\"usage\":{\"prompt_tokens\":1}}\n\n";
    const EMPTY: &str = "data: {\"choices\":[],\"prompt_filter_results\":[]}\n\n";
    const DONE: &str = "data: [DONE]\n\n";

    fn filter(chunks: impl IntoIterator<Item = impl AsRef<[u8]>>) -> String {
        let mut filter = UsageChunkFilter::new();
        let mut out: Vec<u8> = chunks
            .into_iter()
            .flat_map(|c| filter.push(c.as_ref()))
            .collect();
        out.extend(filter.finish());
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn only_the_usage_chunk_goes() {
        let stream = [": ping\n\n", TEXT, BOTH, EMPTY, USAGE, DONE];
        assert_eq!(
            filter(stream),
            [": ping\n\n", TEXT, BOTH, EMPTY, DONE].concat()
        );
        let crlf = [TEXT, USAGE, DONE].concat().replace('\n', "\r\n");
        assert_eq!(filter([crlf]), [TEXT, DONE].concat().replace('\n', "\r\n"));
        assert_eq!(
            filter([TEXT, USAGE.trim_end()]),
            TEXT,
            "also without a last blank line"
        );
    }

    #[test]
    fn an_event_leaves_as_soon_as_it_is_whole() {
        let mut filter = UsageChunkFilter::new();
        assert_eq!(filter.push(TEXT.as_bytes()), TEXT.as_bytes());
    }

    #[test]
    fn a_long_event_passes_without_being_held() {
        let long = format!("data: {}\n\n", "x".repeat(1_000_000));
        let mut filter = UsageChunkFilter::new();
        for chunk in long.as_bytes().chunks(1000) {
            filter.push(chunk);
            assert!(filter.held.len() <= MAX_HELD + 1000);
        }
        assert_eq!(filter.push(USAGE.as_bytes()), b"");
    }

    proptest! {
        #[test]
        fn chunking_does_not_matter(
            events in prop::collection::vec(prop::sample::select(vec![TEXT, USAGE, BOTH, EMPTY, DONE, ": p\n\n", "\n", "data: x\n"]), 0..12),
            size in 1_usize..50,
            crlf in any::<bool>(),
        ) {
            let mut stream = events.concat();
            if crlf {
                stream = stream.replace('\n', "\r\n");
            }
            prop_assert_eq!(filter(stream.as_bytes().chunks(size)), filter([&stream]));
        }
    }
}
