//! A reply on its way from the upstream to the client: Rust's half.
//!
//! The bytes are moved by `worker/entry/passing.mjs`, which says how a reply can end. Those of a
//! stream that passes as it is are not seen here: at its end come its first and its last bytes, in
//! which its usage stands. What is translated, and a document, whose usage may stand anywhere, comes
//! chunk by chunk.
//!
//! Invariant: the record is kept once, whichever way the exchange ends: also when nobody says that
//! it did, because it is kept when it is dropped.

use std::time::Duration;

use sam_dialects::translate::ReplyTranslator;
use sam_dialects::{ApiError, Dialect, UsageScan};
use sam_domain::budget::call::CallEnd;
use sam_platform::fetch::{Connection, Incoming};
use sam_platform::js::JsFailure;
use wasm_bindgen::prelude::*;

use super::record::Record;

#[wasm_bindgen(module = "sam:passing")]
extern "C" {
    #[wasm_bindgen(catch)]
    fn pass(
        upstream: Option<web_sys::ReadableStream>,
        signal: &web_sys::AbortSignal,
        exchange: Exchange,
        events: bool,
        through: bool,
        hides_usage: bool,
        silence: f64,
    ) -> Result<web_sys::ReadableStream, JsValue>;
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

/// Passes on a reply that has begun, until it ends or the client leaves, which aborts `signal`.
pub(super) fn reply(
    incoming: Incoming,
    signal: &web_sys::AbortSignal,
    kind: Kind,
    translator: Option<ReplyTranslator>,
    record: Record,
) -> Result<web_sys::ReadableStream, JsFailure> {
    let (upstream, connection) = incoming.into_raw();
    let through = translator.is_some() || !kind.events;
    let exchange = Exchange {
        client: kind.client,
        scan: UsageScan::new(),
        translator,
        connection,
        record,
    };
    let silence = kind.silence.as_secs_f64() * 1000.0;
    Ok(pass(
        upstream,
        signal,
        exchange,
        kind.events,
        through,
        kind.hide_usage,
        silence,
    )?)
}

/// How an exchange ended, as JavaScript says it.
const ENDS: [CallEnd; 4] = [
    CallEnd::Complete,
    CallEnd::BrokeOff,
    CallEnd::Silent,
    CallEnd::ClientLeft,
];

/// A reply that is under way. Dropping it closes the upstream and keeps the record.
#[wasm_bindgen]
pub struct Exchange {
    client: Dialect,
    scan: UsageScan,
    translator: Option<ReplyTranslator>,
    connection: Connection,
    record: Record,
}

#[wasm_bindgen]
impl Exchange {
    /// What leaves of a chunk that came; nothing when it is the chunk as it came.
    pub fn take(&mut self, chunk: &[u8]) -> Option<Vec<u8>> {
        self.scan.push(chunk);
        let translator = self.translator.as_mut()?;
        Some(translator.push(chunk).into_bytes())
    }

    /// What leaves once the upstream has finished.
    pub fn rest(&mut self) -> Vec<u8> {
        let translator = self.translator.as_mut();
        translator.map_or_else(Vec::new, |it| it.finish().into_bytes())
    }

    /// What a stream still says that did not come to its end. The blank line before it ends a half
    /// event.
    pub fn last_words(&self, end: u8) -> Vec<u8> {
        let (code, words) = match end_of(end) {
            CallEnd::Silent => ("upstream_silent", "The model endpoint fell silent."),
            _ => ("upstream_broke_off", "The model endpoint broke off."),
        };
        let error = ApiError {
            status: None,
            code: Some(code.to_owned()),
            message: words.to_owned(),
            retry_after: None,
        };
        ["\n\n", &error.event_in(self.client)].concat().into_bytes()
    }

    /// The end. What was not taken is told by its first and last bytes.
    pub fn ended(mut self, end: u8, head: &[u8], tail: &[u8], bytes: f64) {
        if bytes > 0.0 {
            // Whole numbers up to 2^53 are what they are.
            self.scan = UsageScan::of_ends(head, tail, bytes as u64);
        }
        let whole = self.translator.as_ref().is_none_or(|it| it.is_complete());
        let end = match end_of(end) {
            CallEnd::Complete if !whole => CallEnd::BrokeOff,
            end => end,
        };
        self.record.ended(self.scan.usage(), end);
        if end == CallEnd::Complete {
            self.connection.ended();
        }
    }
}

fn end_of(end: u8) -> CallEnd {
    let known = ENDS.get(usize::from(end));
    known.copied().unwrap_or(CallEnd::BrokeOff)
}
