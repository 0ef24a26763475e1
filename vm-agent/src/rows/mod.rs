//! From what an agent says to the rows of a conversation.
//!
//! - [`transcript`]: updates in, row versions and deltas out; pure.
//! - [`tool`]: what one tool call looks like as a row; [`ends`]: of long output,
//!   both ends; pure.
//! - [`writer`]: keeps versions in the store, offers deltas to the live socket.
//! - [`outbox`]: delivers what the store holds, in order, until it is taken.
//! - [`live`]: the socket for deltas, which may always be lost.

mod ends;
mod live;
mod outbox;
mod tool;
mod transcript;
mod writer;

#[cfg(test)]
#[path = "tests.rs"]
mod transcript_tests;

pub(crate) use live::Live;
pub(crate) use outbox::Outbox;
pub(crate) use tool::{arguments as compact_json, kind as tool_kind};
pub(crate) use transcript::{TurnEnd, close, notice, word};
pub(crate) use writer::Writer;

use sam_domain::conversation::row::{BodyRef, INLINE_TEXT_LIMIT, truncate};

/// Longest text that is kept at all, in bytes.
pub(crate) const BODY_LIMIT: usize = 8 * 1024 * 1024;

/// A body and the name it goes by.
pub(crate) fn body(bytes: Vec<u8>) -> (BodyRef, (String, Vec<u8>)) {
    use sha2::{Digest, Sha256};
    let sha256: String = Sha256::digest(&bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let reference = BodyRef {
        sha256: sha256.clone(),
        bytes: bytes.len() as u64,
    };
    (reference, (sha256, bytes))
}

/// Head and tail of a text that is too long for a row, with a line between
/// them that says what is missing. Shorter texts come back whole.
pub(crate) fn head_and_tail(text: &str) -> String {
    const MARK_ROOM: usize = 100;
    if text.len() <= INLINE_TEXT_LIMIT {
        return text.to_owned();
    }
    let half = (INLINE_TEXT_LIMIT - MARK_ROOM) / 2;
    let (head, _) = truncate(text, half);
    let mut start = text.len() - half;
    while !text.is_char_boundary(start) {
        start += 1;
    }
    let tail = text.get(start..).unwrap_or_default();
    let missing = text.len() - head.len() - tail.len();
    format!("{head}\n… [{missing} bytes left out here] …\n{tail}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_keeps_both_ends_within_the_limit() {
        assert_eq!(head_and_tail("short"), "short");
        let long = format!("first{}last", "ü".repeat(INLINE_TEXT_LIMIT));
        let cut = head_and_tail(&long);
        assert!(cut.len() <= INLINE_TEXT_LIMIT, "{}", cut.len());
        assert!(cut.starts_with("first") && cut.ends_with("last"));
        assert!(cut.contains("bytes left out here"));
    }

    #[test]
    fn a_body_is_named_by_its_content() {
        let (reference, (name, bytes)) = body(b"abc".to_vec());
        assert_eq!(
            reference.sha256,
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert_eq!((name, bytes.len()), (reference.sha256, 3));
    }
}
