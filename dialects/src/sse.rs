//! Server-sent events, decoded as they arrive.
//!
//! By the WHATWG rules: lines end in CR, LF or CRLF, a leading byte-order mark
//! is skipped, comments and unknown fields are ignored, a blank line ends an
//! event. One deviation, in [`SseDecoder::finish`]: an event cut off by the
//! end of the stream is handed out instead of dropped, because some model
//! servers leave out the last blank line.

/// One event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SseEvent {
    /// The `event` field; none means `message`.
    pub event: Option<String>,
    /// The `data` lines, joined by newlines.
    pub data: String,
}

impl SseEvent {
    /// Writes an event; none of the dialects needs more than one line of data.
    pub(crate) fn write(event: Option<&str>, data: &serde_json::Value, out: &mut String) {
        if let Some(event) = event {
            out.push_str("event: ");
            out.push_str(event);
            out.push('\n');
        }
        out.push_str("data: ");
        out.push_str(&data.to_string());
        out.push_str("\n\n");
    }
}

/// What a stream can do wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SseError {
    /// An event was longer than the bound. Decoding may go on with the next.
    #[error("an event of the stream is longer than {limit} bytes")]
    TooLong {
        /// The bound in bytes.
        limit: usize,
    },
}

/// Decodes a stream.
#[derive(Debug)]
pub struct SseDecoder {
    limit: usize,
    line: Vec<u8>,
    /// Bytes of the lines of the current event so far.
    taken: usize,
    event: Option<String>,
    data: Option<String>,
    at_start: bool,
    after_cr: bool,
    too_long: bool,
}

impl SseDecoder {
    /// A decoder that refuses events of more than `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            line: Vec::new(),
            taken: 0,
            event: None,
            data: None,
            at_start: true,
            after_cr: false,
            too_long: false,
        }
    }

    /// Takes the next bytes and returns the events they complete.
    pub fn push(&mut self, mut bytes: &[u8]) -> Vec<Result<SseEvent, SseError>> {
        let mut events = Vec::new();
        while !bytes.is_empty() {
            if std::mem::take(&mut self.after_cr) && bytes.first() == Some(&b'\n') {
                bytes = bytes.get(1..).unwrap_or_default();
                continue;
            }
            let end = bytes.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
            let (piece, rest) = bytes.split_at(end.unwrap_or(bytes.len()));
            self.extend_line(piece);
            if let Some((terminator, rest)) = rest.split_first() {
                self.after_cr = *terminator == b'\r';
                events.extend(self.end_line());
                bytes = rest;
            } else {
                bytes = rest;
            }
        }
        events
    }

    /// The end of the stream: the event that was not ended, if it has data.
    pub fn finish(mut self) -> Option<Result<SseEvent, SseError>> {
        let last = self.end_line();
        last.or_else(|| self.end_event())
    }

    fn extend_line(&mut self, piece: &[u8]) {
        self.taken = self.taken.saturating_add(piece.len());
        self.line.extend_from_slice(piece);
        if self.taken > self.limit {
            self.too_long = true;
            self.data = None;
            // What is left of the event only has to be told from a blank line.
            self.line.truncate(1);
        }
    }

    fn end_line(&mut self) -> Option<Result<SseEvent, SseError>> {
        let line = std::mem::take(&mut self.line);
        let mut line = line.as_slice();
        if std::mem::take(&mut self.at_start) {
            line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
        }
        if line.is_empty() {
            return self.end_event();
        }
        if self.too_long {
            return None;
        }
        let colon = line.iter().position(|byte| *byte == b':');
        let (field, value) = match colon {
            Some(at) => (line.get(..at), line.get(at + 1..)),
            None => (Some(line), None),
        };
        let value = value.unwrap_or_default();
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match field {
            Some(b"data") => {
                let value = String::from_utf8_lossy(value);
                match &mut self.data {
                    Some(data) => {
                        data.push('\n');
                        data.push_str(&value);
                    }
                    None => self.data = Some(value.into_owned()),
                }
            }
            Some(b"event") => self.event = Some(String::from_utf8_lossy(value).into_owned()),
            _ => {}
        }
        None
    }

    fn end_event(&mut self) -> Option<Result<SseEvent, SseError>> {
        self.taken = 0;
        let event = self.event.take();
        let data = self.data.take();
        if std::mem::take(&mut self.too_long) {
            return Some(Err(SseError::TooLong { limit: self.limit }));
        }
        data.map(|data| Ok(SseEvent { event, data }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decode(chunks: &[&[u8]], limit: usize) -> Vec<Result<SseEvent, SseError>> {
        let mut decoder = SseDecoder::new(limit);
        let mut events: Vec<_> = chunks.iter().flat_map(|c| decoder.push(c)).collect();
        events.extend(decoder.finish());
        events
    }

    fn check(input: &str, expected: &[(&str, &str)]) {
        let got: Vec<_> = decode(&[input.as_bytes()], 1000)
            .into_iter()
            .map(|e| e.unwrap())
            .map(|e| (e.event.unwrap_or_default(), e.data))
            .collect();
        let got: Vec<_> = got.iter().map(|(e, d)| (e.as_str(), d.as_str())).collect();
        assert_eq!(got, expected, "{input:?}");
    }

    #[test]
    fn events_by_the_rules() {
        check("data: a\n\ndata:b\n\n", &[("", "a"), ("", "b")]);
        check("data: a\r\ndata: b\r\n\r\n", &[("", "a\nb")]);
        check("data: a\r\rdata: b\r\r", &[("", "a"), ("", "b")]);
        check("\u{feff}data: a\n\n", &[("", "a")]);
        check(
            ": ping\n\n: ping\nevent: x\ndata:  a\nid: 7\n\n",
            &[("x", " a")],
        );
        check("data\n\n", &[("", "")]);
        check("event: only\n\n", &[]);
        check("data: cut off", &[("", "cut off")]);
        check("data: cut off\n", &[("", "cut off")]);
        check("\n\n\n", &[]);
    }

    #[test]
    fn a_long_event_is_refused_and_the_next_is_read() {
        let input = format!("data: {}\ndata: y\n\ndata: b\n\n", "x".repeat(5000));
        let got = decode(&[input.as_bytes()], 100);
        assert_eq!(got.len(), 2);
        assert_eq!(got[0], Err(SseError::TooLong { limit: 100 }));
        assert_eq!(got[1].as_ref().unwrap().data, "b");
    }

    #[test]
    fn an_endless_line_holds_no_more_than_the_bound() {
        let mut decoder = SseDecoder::new(1000);
        for _ in 0..1000 {
            assert!(decoder.push(&[b'x'; 997]).is_empty());
            assert!(decoder.line.capacity() <= 4000);
        }
    }

    proptest! {
        #[test]
        fn chunking_does_not_matter(
            text in "([ab:\u{fc} ]{0,6}(data|event|data: |: )?[\r\n]{0,3}){0,12}",
            cuts in prop::collection::vec(0_usize..200, 0..8),
            limit in 5_usize..40,
        ) {
            let bytes = text.as_bytes();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|c| c.min(bytes.len())).collect();
            cuts.push(bytes.len());
            cuts.sort_unstable();
            let mut chunks = Vec::new();
            let mut from = 0;
            for to in cuts {
                chunks.push(&bytes[from..to]);
                from = to;
            }
            prop_assert_eq!(decode(&chunks, limit), decode(&[bytes], limit));
        }
    }
}
