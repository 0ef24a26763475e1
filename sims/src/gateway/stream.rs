//! The body that plays an answer's chunks, and the faults that happen to it on the way.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use futures::Stream;

use super::faults::FaultKind;
use super::records::{Outcome, RecordGuard};
use crate::dialect::{Chunk, Part};

/// Long enough for what was sent to leave the socket before a cut closes it.
const FLUSH: Duration = Duration::from_millis(20);

/// How many chunks are sent before the fault happens.
fn before(fault: &FaultKind, chunks: &[Chunk]) -> usize {
    match fault {
        FaultKind::Cut { after_chunks }
        | FaultKind::Hold { after_chunks }
        | FaultKind::Failure { after_chunks, .. } => *after_chunks,
        FaultKind::CutIn { part } => {
            let at = chunks.iter().position(|chunk| chunk.part >= *part);
            let at = at.unwrap_or(chunks.len());
            if *part < Part::Finish { at + 1 } else { at }
        }
        _ => 0,
    }
}

struct Playback {
    waiting: VecDeque<Chunk>,
    /// How often the text comes again.
    repeats: usize,
    sent: usize,
    /// Chunks after which the fault happens.
    spared: usize,
    delay: Duration,
    fault: Option<FaultKind>,
    record: RecordGuard,
}

impl Playback {
    fn next(&mut self) -> Option<Chunk> {
        let next = self.waiting.front()?;
        if next.part == Part::Text && self.repeats > 0 {
            self.repeats -= 1;
            return Some(next.clone());
        }
        self.waiting.pop_front()
    }
}

/// Plays the chunks, one at a time, with `delay` between them and the fault that was asked for. When the client
/// leaves, the stream is dropped, and with it the record's guard.
pub(super) fn play(
    chunks: Vec<Chunk>,
    delay: Duration,
    fault: Option<FaultKind>,
    record: RecordGuard,
) -> impl Stream<Item = io::Result<String>> + Send + 'static {
    let (repeats, delay) = match fault {
        Some(FaultKind::Long {
            pieces, pause_ms, ..
        }) => (pieces.saturating_sub(1), Duration::from_millis(pause_ms)),
        _ => (0, delay),
    };
    let playback = Playback {
        repeats,
        spared: fault.as_ref().map_or(0, |fault| before(fault, &chunks)),
        waiting: chunks.into(),
        sent: 0,
        delay,
        fault,
        record,
    };
    futures::stream::unfold(playback, |mut playback| async move {
        if playback.sent >= playback.spared {
            match playback.fault.take() {
                Some(FaultKind::Cut { .. } | FaultKind::CutIn { .. }) => {
                    tokio::time::sleep(FLUSH).await;
                    playback
                        .record
                        .update(|record| record.outcome = Outcome::Cut);
                    playback.waiting.clear();
                    return Some((Err(io::Error::other("cut on request")), playback));
                }
                Some(FaultKind::Failure { .. }) => {
                    // What is left is the report of the failure.
                    playback.waiting.retain(|chunk| chunk.part == Part::Failure);
                }
                Some(FaultKind::Hold { .. }) => playback.record.hold().await,
                Some(FaultKind::SlowFirstByte { ms }) => {
                    tokio::time::sleep(Duration::from_millis(ms)).await;
                }
                _ => {}
            }
        }
        let next = playback.next()?;
        if playback.sent > 0 && !playback.delay.is_zero() {
            tokio::time::sleep(playback.delay).await;
        }
        playback.sent += 1;
        let (sent, last) = (playback.sent, playback.waiting.is_empty());
        playback.record.update(|record| {
            record.chunks_sent = sent;
            if last {
                record.outcome = Outcome::Complete;
            }
        });
        Some((Ok(next.text), playback))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_happens_in_the_part_that_was_named() {
        let parts = [
            Part::Opening,
            Part::Text,
            Part::Text,
            Part::Call,
            Part::Arguments,
            Part::Arguments,
            Part::Finish,
            Part::Usage,
            Part::Done,
        ];
        let chunks = parts.map(|part| Chunk {
            part,
            text: String::new(),
        });
        let check = |part: Part, sent: usize| {
            assert_eq!(
                before(&FaultKind::CutIn { part }, &chunks),
                sent,
                "{part:?}"
            );
        };
        check(Part::Text, 2);
        check(Part::Arguments, 5);
        check(Part::Finish, 6);
        check(Part::Usage, 7);
        check(Part::Done, 8);
    }
}
