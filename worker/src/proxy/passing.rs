//! A reply on its way from the upstream to the client.
//!
//! Four ends are possible: the upstream finishes, the upstream breaks off, the upstream says nothing
//! for too long, or the client leaves. Each of them ends the [`Exchange`], once: the upstream is
//! closed and the [`Record`] is kept with what was seen until then.
//!
//! Two things about the runtime shape the rest. It ends a reply that failed half-way as if it were
//! whole, so a stream that breaks off says so in its last event. And it may notice that a client has
//! left only when it writes, so a stream that has nothing to say writes a comment, which readers of
//! event streams ignore.

use std::cell::RefCell;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures::Stream;
use futures::future::{Either, select};
use sam_dialects::chat::UsageChunkFilter;
use sam_dialects::translate::ReplyTranslator;
use sam_dialects::{ApiError, Dialect, UsageScan};
use sam_domain::budget::call::CallEnd;
use sam_platform::background::Background;
use sam_platform::fetch::Body;

use super::departure::{Departure, Gone};
use super::record::Record;

/// How long a stream may be silent before a comment is written.
const SILENCE: Duration = Duration::from_secs(5);
/// The comment.
const COMMENT: &[u8] = b": waiting\n\n";
/// The last event of a stream that failed on the way. The blank line before it ends a half event.
fn last_words(dialect: Dialect, code: &str, words: &str) -> Vec<u8> {
    let error = ApiError {
        status: None,
        code: Some(code.to_owned()),
        message: words.to_owned(),
        retry_after: None,
    };
    ["\n\n", &error.event_in(dialect)].concat().into_bytes()
}

/// What is known of the reply before its first byte.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kind {
    /// Whether it is a stream of server-sent events.
    pub(super) events: bool,
    /// How the client speaks.
    pub(super) client: Dialect,
    /// Whether the event that only reports usage is taken out.
    pub(super) hide_usage: bool,
    /// How long the upstream may say nothing.
    pub(super) silence: Duration,
}

/// A reply that is under way.
struct Exchange {
    kind: Kind,
    /// Absent after the end; dropping it closes the upstream.
    upstream: Option<Body>,
    scan: UsageScan,
    filter: Option<UsageChunkFilter>,
    translator: Option<ReplyTranslator>,
    /// Absent after the end; dropping it keeps it.
    record: Option<Record>,
    departure: Option<Departure>,
    /// Whether the last byte that left ended an event.
    between_events: bool,
    /// Whether nothing came since somebody last looked.
    silent: bool,
    /// How long nothing has come.
    quiet: Duration,
    /// What a stream that was ended still has to say.
    last_words: Option<Vec<u8>>,
    /// Whether a comment is to be written.
    owes_comment: bool,
    /// Who waits for the next chunk.
    waker: Option<Waker>,
}

impl Exchange {
    fn end(&mut self, end: CallEnd) {
        self.upstream = None;
        self.departure = None;
        if let Some(mut record) = self.record.take() {
            record.ended(self.scan.usage(), end);
        }
    }

    /// Looks whether the stream has been silent since the last look, this long ago. Silence that
    /// lasts too long ends it.
    fn look(&mut self, since: Duration) {
        if self.silent {
            self.quiet = self.quiet.saturating_add(since);
            if self.quiet >= self.kind.silence {
                self.end(CallEnd::Silent);
                self.say_last("upstream_silent", "The model endpoint fell silent.");
            }
            self.owes_comment = self.kind.events;
            if let Some(waker) = self.waker.take() {
                waker.wake();
            }
        }
        self.silent = true;
    }

    /// What a stream that was ended still says; a document is only cut.
    fn say_last(&mut self, code: &str, words: &str) {
        let events = self.kind.events;
        self.last_words = events.then(|| last_words(self.kind.client, code, words));
    }

    /// What may leave of a chunk that came.
    fn take_in(&mut self, chunk: Vec<u8>) -> Vec<u8> {
        self.silent = false;
        self.quiet = Duration::ZERO;
        self.scan.push(&chunk);
        let leaving = match (&mut self.translator, &mut self.filter) {
            (Some(translator), _) => translator.push(&chunk).into_bytes(),
            (None, Some(filter)) => filter.push(&chunk),
            (None, None) => chunk,
        };
        if !leaving.is_empty() {
            self.between_events = leaving.ends_with(b"\n\n") || leaving.ends_with(b"\r\n\r\n");
        }
        leaving
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Vec<u8>>> {
        loop {
            let Some(upstream) = &mut self.upstream else {
                return Poll::Ready(self.last_words.take());
            };
            match Pin::new(upstream).poll_next(cx) {
                Poll::Ready(Some(Ok(chunk))) => {
                    let leaving = self.take_in(chunk);
                    if !leaving.is_empty() {
                        return Poll::Ready(Some(leaving));
                    }
                }
                Poll::Ready(Some(Err(_))) => {
                    self.end(CallEnd::BrokeOff);
                    self.say_last("upstream_broke_off", "The model endpoint broke off.");
                }
                Poll::Ready(None) => {
                    let rest = match (self.translator.take(), self.filter.take()) {
                        (Some(mut translator), _) => {
                            let rest = translator.finish().into_bytes();
                            let whole = translator.is_complete();
                            self.end(if whole {
                                CallEnd::Complete
                            } else {
                                CallEnd::BrokeOff
                            });
                            rest
                        }
                        (None, filter) => {
                            self.end(CallEnd::Complete);
                            filter.map(UsageChunkFilter::finish).unwrap_or_default()
                        }
                    };
                    return Poll::Ready(Some(rest).filter(|rest| !rest.is_empty()));
                }
                Poll::Pending if self.owes_comment && self.between_events => {
                    self.owes_comment = false;
                    return Poll::Ready(Some(COMMENT.to_vec()));
                }
                Poll::Pending => {
                    self.waker = Some(cx.waker().clone());
                    return Poll::Pending;
                }
            }
        }
    }
}

/// The body of the client's response.
pub(super) struct Passing {
    exchange: Rc<RefCell<Exchange>>,
}

impl Passing {
    /// Passes on a reply that has begun, until it ends or the client leaves.
    pub(super) fn new(
        upstream: Body,
        kind: Kind,
        translator: Option<ReplyTranslator>,
        record: Record,
        departure: Departure,
        background: &Background,
    ) -> Self {
        let gone = departure.gone();
        let exchange = Rc::new(RefCell::new(Exchange {
            kind,
            upstream: Some(upstream),
            scan: UsageScan::new(),
            filter: kind.hide_usage.then(UsageChunkFilter::new),
            translator,
            record: Some(record),
            departure: Some(departure),
            between_events: true,
            silent: false,
            quiet: Duration::ZERO,
            last_words: None,
            owes_comment: false,
            waker: None,
        }));
        let pause = SILENCE.min(kind.silence);
        background.run(watch(Rc::downgrade(&exchange), gone, pause));
        Self { exchange }
    }
}

/// Ends the exchange when the client leaves, and keeps its stream from falling silent until then.
async fn watch(exchange: Weak<RefCell<Exchange>>, gone: Gone, pause: Duration) {
    loop {
        let next = std::pin::pin!(worker::Delay::from(pause));
        let ended = matches!(select(gone.clone(), next).await, Either::Left(_));
        let Some(exchange) = exchange.upgrade() else {
            return;
        };
        // Held only within a poll, which awaits nothing.
        let Ok(mut exchange) = exchange.try_borrow_mut() else {
            return;
        };
        if ended {
            exchange.end(CallEnd::ClientLeft);
            return;
        }
        exchange.look(pause);
    }
}

impl Stream for Passing {
    type Item = Result<Vec<u8>, worker::Error>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        match self.exchange.try_borrow_mut() {
            Ok(mut exchange) => exchange.poll(cx).map(|chunk| chunk.map(Ok)),
            Err(_) => Poll::Ready(None),
        }
    }
}

impl Drop for Passing {
    fn drop(&mut self) {
        if let Ok(mut exchange) = self.exchange.try_borrow_mut() {
            exchange.end(CallEnd::ClientLeft);
        }
    }
}
