//! A reply as it arrives, passed on: what is new of it to whoever watches, its
//! troubles also to the record.

use sam_dialects::conversation::ReplyEvent;
use sam_harness::transcript::Event;

use crate::model::{ReplySink, Step, Trouble};
use crate::notice;
use crate::session::Session;
use crate::turn::Observer;
use crate::visible::Visible;

/// Passes on what is new of a reply that may be asked for more than once.
pub(crate) struct Sink<'a> {
    id: String,
    number: u64,
    session: &'a mut Session,
    observer: &'a dyn Observer,
    text: Visible,
    thought: Visible,
}

impl<'a> Sink<'a> {
    pub(crate) fn new(number: u64, session: &'a mut Session, observer: &'a dyn Observer) -> Self {
        Self {
            id: format!("reply-{number}"),
            number,
            session,
            observer,
            text: Visible::new(message_id(number)),
            thought: Visible::new(thought_id(number)),
        }
    }

    /// The text shown last.
    pub(crate) fn said(&self) -> String {
        self.text.text().to_owned()
    }
}

/// The id of a reply's text for hosts.
pub(crate) fn message_id(number: u64) -> String {
    format!("message-{number}")
}

/// The id of a reply's reasoning for hosts.
pub(crate) fn thought_id(number: u64) -> String {
    format!("thought-{number}")
}

impl ReplySink for Sink<'_> {
    fn delta(&mut self, event: &ReplyEvent) {
        match event {
            ReplyEvent::Text(text) | ReplyEvent::Refusal(text) => {
                let new = self.text.piece(text);
                if let Some(text) = self.text.take_withdrawn() {
                    let number = self.number;
                    self.session.commit(Event::Withdrawn { number, text });
                }
                if let Some(new) = new {
                    self.observer.text(&self.text.message(), &new);
                }
            }
            ReplyEvent::Thinking(text) => {
                if let Some(new) = self.thought.piece(text) {
                    self.observer.thought(&self.thought.message(), &new);
                }
            }
            // Calls are announced when they run: a cut reply's never do.
            _ => {}
        }
    }

    fn trouble(&mut self, trouble: &Trouble<'_>) {
        if let Step::Wait(_) = trouble.step {
            self.text.restart();
            self.thought.restart();
        }
        let notice = notice::trouble(&self.id, trouble);
        self.session.commit(Event::Notice { notice });
        self.observer.trouble(&self.id, trouble);
    }
}
