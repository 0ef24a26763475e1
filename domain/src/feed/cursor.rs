//! A follower's cursor over one scope, without I/O.
//!
//! It decides what a frame means for what is held: take it in, it was seen
//! before, there is a gap, or forget everything. Web, CLI and simulator use it
//! unchanged.
//!
//! Every `follow` is answered once, by `hello`, `reset` or `refused`, and what
//! comes before the answer to the newest belongs to an older one. It is passed
//! over: taken in, it would be asked for again, and each answer would beget
//! further questions.

use super::{ClientFrame, Entity, Scope, ServerFrame};

/// Where a follower is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    scope: Scope,
    epoch: Option<String>,
    seq: u64,
    /// The newest sequence number the server said there is.
    target: u64,
    /// How many `follow` on this connection are not answered yet.
    unanswered: u32,
}

/// What to do with a page of changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Page {
    /// Take it in; the cursor has moved.
    Take,
    /// All of it was taken in before.
    Seen,
    /// Something before it is missing: follow again from the cursor.
    Gap,
}

/// What a frame means for what is held.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Heard<'a> {
    /// Everything held has to be forgotten.
    pub forget: bool,
    /// Entities to take in, in order.
    pub entities: &'a [Entity],
    /// A frame to send back: `next`, or `follow` after a gap or a reset.
    pub reply: Option<ClientFrame>,
}

impl Cursor {
    /// Takes in a frame about this scope and says what it means. Frames about
    /// other scopes, deltas and activity mean nothing here.
    pub fn hear<'a>(&mut self, frame: &'a ServerFrame) -> Heard<'a> {
        if !self.is_answer(frame) {
            return Heard::default();
        }
        match frame {
            ServerFrame::Hello {
                scope,
                epoch,
                seq,
                floor,
            } if *scope == self.scope => {
                let forget = self.hello(epoch, *seq, *floor);
                Heard {
                    forget,
                    reply: forget.then(|| self.follow_again()),
                    ..Heard::default()
                }
            }
            ServerFrame::Changes {
                scope,
                from,
                to,
                entities,
                more,
            } if *scope == self.scope => match self.changes(*from, *to) {
                Page::Gap => Heard {
                    reply: Some(self.follow_again()),
                    ..Heard::default()
                },
                Page::Seen => Heard {
                    reply: more.then(|| self.next()),
                    ..Heard::default()
                },
                Page::Take => Heard {
                    forget: false,
                    entities,
                    reply: more.then(|| self.next()),
                },
            },
            ServerFrame::Reset { scope } if *scope == self.scope => {
                self.reset();
                Heard {
                    forget: true,
                    reply: Some(self.follow_again()),
                    ..Heard::default()
                }
            }
            _ => Heard::default(),
        }
    }

    /// Counts answers to `follow`. False for a frame that belongs to an older one than the newest.
    fn is_answer(&mut self, frame: &ServerFrame) -> bool {
        let answers = match frame {
            ServerFrame::Hello { scope, .. } | ServerFrame::Reset { scope } => *scope == self.scope,
            ServerFrame::Refused { code, scope } => {
                code != "not_followed" && scope.as_ref() == Some(&self.scope)
            }
            _ => false,
        };
        if answers {
            self.unanswered = self.unanswered.saturating_sub(1);
        }
        self.unanswered == 0
    }

    /// A cursor that has seen nothing.
    #[must_use]
    pub const fn new(scope: Scope) -> Self {
        Self {
            scope,
            epoch: None,
            seq: 0,
            target: 0,
            unanswered: 0,
        }
    }

    /// The scope it runs over.
    #[must_use]
    pub const fn scope(&self) -> &Scope {
        &self.scope
    }

    /// The last sequence number taken in.
    #[must_use]
    pub const fn seq(&self) -> u64 {
        self.seq
    }

    /// Whether everything the server spoke of was taken in.
    #[must_use]
    pub const fn is_current(&self) -> bool {
        self.epoch.is_some() && self.seq >= self.target
    }

    /// The history it runs over; `None` until the server has spoken of it.
    #[must_use]
    pub fn epoch(&self) -> Option<&str> {
        self.epoch.as_deref()
    }

    /// The frame that starts following from here on a connection of which nothing is awaited.
    #[must_use]
    pub fn follow(&mut self) -> ClientFrame {
        self.unanswered = 0;
        self.follow_again()
    }

    fn follow_again(&mut self) -> ClientFrame {
        self.unanswered += 1;
        ClientFrame::Follow {
            scope: self.scope.clone(),
            after: self.seq,
            epoch: self.epoch.clone(),
        }
    }

    /// The frame that pulls the next page.
    #[must_use]
    pub fn next(&self) -> ClientFrame {
        ClientFrame::Next {
            scope: self.scope.clone(),
            to: self.seq,
        }
    }

    /// Takes in a `hello`. Returns true when what is held must be forgotten:
    /// the server's history is another one, or it no longer reaches back here.
    pub fn hello(&mut self, epoch: &str, seq: u64, floor: u64) -> bool {
        let other = self.epoch.as_deref().is_some_and(|held| held != epoch);
        // Who holds nothing has nothing to forget: its page comes right after.
        let forget = self.seq > 0 && (other || self.seq < floor || self.seq > seq);
        if forget {
            self.seq = 0;
        }
        self.epoch = Some(epoch.to_owned());
        self.target = seq;
        forget
    }

    /// Judges a page `from < seq <= to`.
    pub fn changes(&mut self, from: u64, to: u64) -> Page {
        if to <= self.seq && to != from {
            return Page::Seen;
        }
        if from > self.seq {
            return Page::Gap;
        }
        self.seq = self.seq.max(to);
        self.target = self.target.max(to);
        Page::Take
    }

    /// Takes in a `reset`: back to nothing.
    pub fn reset(&mut self) {
        self.epoch = None;
        self.seq = 0;
        self.target = 0;
    }
}
