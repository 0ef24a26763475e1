//! A reply on its way from the upstream to the client.
//!
//! Three ends are possible: the upstream finished, the upstream broke off, or the client left and
//! the runtime dropped the stream. Each of them drops [`Record`] with what was seen until then.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures::{Stream, ready};
use sam_dialects::UsageScan;
use sam_dialects::chat::UsageChunkFilter;
use sam_platform::fetch::Body;

use super::record::Record;

/// A reply that passes through.
pub(super) struct Passing {
    /// Absent after its end; dropping it early closes the upstream.
    upstream: Option<Body>,
    scan: UsageScan,
    filter: Option<UsageChunkFilter>,
    record: Record,
}

impl Passing {
    /// A reply that has begun. With `hide_usage` the chunk that only reports usage is taken out.
    pub(super) fn new(upstream: Body, record: Record, hide_usage: bool) -> Self {
        Self {
            upstream: Some(upstream),
            scan: UsageScan::new(),
            filter: hide_usage.then(UsageChunkFilter::new),
            record,
        }
    }

    fn end(&mut self, complete: bool) {
        self.upstream = None;
        self.record.ended(self.scan.usage(), complete);
    }
}

impl Stream for Passing {
    type Item = Result<Vec<u8>, worker::Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            let Some(upstream) = &mut this.upstream else {
                return Poll::Ready(None);
            };
            match ready!(Pin::new(upstream).poll_next(cx)) {
                Some(Ok(chunk)) => {
                    this.scan.push(&chunk);
                    let leaving = match &mut this.filter {
                        Some(filter) => filter.push(&chunk),
                        None => chunk,
                    };
                    if !leaving.is_empty() {
                        return Poll::Ready(Some(Ok(leaving)));
                    }
                }
                Some(Err(failure)) => {
                    this.end(false);
                    return Poll::Ready(Some(Err(worker::Error::RustError(failure.message))));
                }
                None => {
                    this.end(true);
                    let rest = this.filter.take().map(UsageChunkFilter::finish);
                    return Poll::Ready(rest.filter(|rest| !rest.is_empty()).map(Ok));
                }
            }
        }
    }
}

impl Drop for Passing {
    fn drop(&mut self) {
        if self.upstream.is_some() {
            self.end(false);
        }
    }
}
