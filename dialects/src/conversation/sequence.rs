//! Calls whose pieces interleave, one after the other.
//!
//! Messages and Responses finish one block before they begin the next, and
//! their clients rely on it; servers of chat completions may send pieces of
//! several calls in turns. The first call flows through; what comes for
//! another is held until the first is whole, which it is when its arguments
//! are balanced, or at the end.

use super::reply::ReplyEvent;
use crate::depth::Depth;

#[derive(Debug, Default)]
struct Held {
    /// Where in the arguments it is, to see when they are whole.
    depth: Depth,
    /// What was held back, in order.
    events: Vec<ReplyEvent>,
    ended: bool,
}

/// Brings the events of a reply into the order of its blocks.
#[derive(Debug, Default)]
pub(crate) struct Sequencer {
    /// The calls that are not done, oldest first; the first flows.
    waiting: Vec<(usize, Held)>,
    /// What came after them that is not a call's.
    after: Vec<ReplyEvent>,
}

impl Sequencer {
    /// Takes an event and hands out those whose turn it is.
    pub(crate) fn take(&mut self, event: ReplyEvent, out: &mut Vec<ReplyEvent>) {
        match event {
            ReplyEvent::Call { call, .. } => {
                let first = self.waiting.is_empty();
                let mut held = Held::default();
                if first {
                    out.push(event);
                } else {
                    held.events.push(event);
                }
                self.waiting.push((call, held));
                if !first {
                    self.advance(out);
                }
            }
            ReplyEvent::Arguments { call, ref piece } => {
                let at = self
                    .waiting
                    .iter()
                    .position(|(waiting, _)| *waiting == call);
                let found = at.and_then(|at| Some((at, self.waiting.get_mut(at)?)));
                // Where there is none it was whole; what still comes is blank.
                if let Some((at, (_, held))) = found {
                    held.depth.text(piece);
                    if at > 0 {
                        held.events.push(event);
                    } else {
                        out.push(event);
                        self.advance(out);
                    }
                }
            }
            ReplyEvent::CallEnd { call } => {
                let ended = self
                    .waiting
                    .iter_mut()
                    .find(|(waiting, _)| *waiting == call);
                if let Some((_, held)) = ended {
                    held.ended = true;
                    self.advance(out);
                }
            }
            ReplyEvent::Usage(_) | ReplyEvent::Begin { .. } => out.push(event),
            ReplyEvent::Stop(_) | ReplyEvent::End => {
                self.flush(out);
                out.push(event);
            }
            other => {
                if self.waiting.is_empty() {
                    out.push(other);
                } else {
                    self.after.push(other);
                    self.advance(out);
                }
            }
        }
    }

    /// Ends whatever is open: the stream is over.
    pub(crate) fn flush(&mut self, out: &mut Vec<ReplyEvent>) {
        for (_, held) in &mut self.waiting {
            held.ended = true;
        }
        self.advance(out);
    }

    /// Ends the open call if it is whole and something waits for it.
    fn advance(&mut self, out: &mut Vec<ReplyEvent>) {
        while let Some((call, held)) = self.waiting.first() {
            let others = self.waiting.len() > 1 || !self.after.is_empty();
            if !(held.ended || others && held.depth.is_whole()) {
                return;
            }
            out.push(ReplyEvent::CallEnd { call: *call });
            self.waiting.remove(0);
            if let Some((_, next)) = self.waiting.first_mut() {
                out.append(&mut next.events);
            }
        }
        out.append(&mut self.after);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(call: usize) -> ReplyEvent {
        let (id, name) = (format!("c{call}"), "read".to_owned());
        ReplyEvent::Call {
            call,
            id,
            name,
            custom: false,
        }
    }

    fn piece(call: usize, piece: &str) -> ReplyEvent {
        let piece = piece.to_owned();
        ReplyEvent::Arguments { call, piece }
    }

    fn sequence(events: Vec<ReplyEvent>) -> Vec<ReplyEvent> {
        let mut sequencer = Sequencer::default();
        let mut out = Vec::new();
        for event in events {
            sequencer.take(event, &mut out);
        }
        out
    }

    #[test]
    fn pieces_in_turns_come_one_call_after_the_other() {
        let end = |call| ReplyEvent::CallEnd { call };
        let text = || ReplyEvent::Text("and".to_owned());
        let got = sequence(vec![
            call(0),
            piece(0, "{\"a\""),
            call(1),
            piece(1, "{"),
            piece(0, ":1}"),
            piece(1, "}"),
            text(),
            ReplyEvent::End,
        ]);
        let expected = [
            call(0),
            piece(0, "{\"a\""),
            piece(0, ":1}"),
            end(0),
            call(1),
            piece(1, "{"),
            piece(1, "}"),
            end(1),
            text(),
            ReplyEvent::End,
        ];
        assert_eq!(got, expected);
    }

    #[test]
    fn a_call_that_is_whole_does_not_hold_up_the_next() {
        let mut sequencer = Sequencer::default();
        let mut out = Vec::new();
        for event in [call(0), piece(0, "{}"), call(1)] {
            sequencer.take(event, &mut out);
        }
        assert_eq!(out.last(), Some(&call(1)));
    }
}
