//! Lines taken apart.
//!
//! A reader goes on after whatever it cannot read and says what that was. Its
//! memory is bounded by the longest line it takes.

use std::io::{self, BufRead};

use super::event::{Event, Header, Line};
use super::{FORMAT, VERSION};

/// A longer line is skipped.
pub(super) const MAX_LINE: usize = 128 * 1024 * 1024;

/// One line of a segment.
#[derive(Debug, Clone, PartialEq)]
pub enum Entry {
    /// The first line.
    Header(Header),
    /// An event.
    Line(Line),
    /// A line that is none of ours: damaged, or of a kind not known here.
    Unreadable {
        /// Its number, from 1.
        line: u64,
        /// What is wrong with it.
        why: String,
    },
    /// The last line lacks its end: whoever wrote it was ended while writing.
    Torn {
        /// Where it begins.
        offset: u64,
        /// How long it is.
        bytes: u64,
    },
}

/// Reads one segment.
#[derive(Debug)]
pub struct Reader<R> {
    input: R,
    line: u64,
    offset: u64,
}

impl<R: BufRead> Reader<R> {
    /// From its beginning.
    pub fn new(input: R) -> Self {
        Self {
            input,
            line: 0,
            offset: 0,
        }
    }

    /// The next line that holds something; an error when the file cannot be
    /// read on.
    fn next_line(&mut self) -> io::Result<Option<Entry>> {
        loop {
            let begin = self.offset;
            let mut bytes = Vec::new();
            let (mut length, mut ended) = (0_u64, false);
            while !ended {
                let (taken, end) = {
                    let buffer = match self.input.fill_buf() {
                        Ok([]) => break,
                        Ok(buffer) => buffer,
                        Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                        Err(error) => return Err(error),
                    };
                    let newline = buffer.iter().position(|byte| *byte == b'\n');
                    let piece = buffer.get(..newline.unwrap_or(buffer.len()));
                    let piece = piece.unwrap_or_default();
                    let room = MAX_LINE.saturating_sub(bytes.len());
                    bytes.extend_from_slice(piece.get(..room).unwrap_or(piece));
                    let taken = piece.len() + usize::from(newline.is_some());
                    (taken, newline.is_some())
                };
                self.input.consume(taken);
                length = length.saturating_add(u64::try_from(taken).unwrap_or(u64::MAX));
                ended = end;
            }
            if length == 0 {
                return Ok(None);
            }
            self.offset = self.offset.saturating_add(length);
            self.line += 1;
            if !ended {
                return Ok(Some(Entry::Torn {
                    offset: begin,
                    bytes: length,
                }));
            }
            if bytes.trim_ascii().is_empty() {
                continue;
            }
            return Ok(Some(self.parse(&bytes, length)));
        }
    }

    fn parse(&self, bytes: &[u8], length: u64) -> Entry {
        let line = self.line;
        let unreadable = |why: String| Entry::Unreadable { line, why };
        if length > u64::try_from(MAX_LINE).unwrap_or(u64::MAX) {
            return unreadable(format!("{length} bytes, more than a line may have"));
        }
        if line == 1 {
            return match serde_json::from_slice::<Header>(bytes) {
                Ok(header) if header.format != FORMAT => {
                    unreadable(format!("the format is {:?}", header.format))
                }
                Ok(header) if header.version > VERSION => unreadable(format!(
                    "version {} is newer than this program, which reads up to {VERSION}",
                    header.version
                )),
                Ok(header) => Entry::Header(header),
                Err(error) => unreadable(format!("no header: {error}")),
            };
        }
        match serde_json::from_slice::<Line>(bytes) {
            Ok(read) => Entry::Line(read),
            Err(error) => unreadable(error.to_string()),
        }
    }
}

impl<R: BufRead> Iterator for Reader<R> {
    type Item = io::Result<Entry>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_line().transpose()
    }
}

/// Whether an event is part of what happened.
pub(super) fn happened(event: &Event) -> bool {
    !matches!(event, Event::Checkpoint { .. })
}
