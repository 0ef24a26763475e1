//! RateLimit: how often somebody has tried something.

#![expect(
    missing_docs,
    reason = "the attribute of the class writes methods without documentation"
)]

use std::cell::Cell;

use sam_domain::error::ApiError;
use sam_domain::limit::{Bucket, LimitName, Taken};
use sam_platform::clock;
use sam_platform::objects::Class;
use sam_platform::probe::Event;
use worker::{DurableObject, Env, Request, Response, State, durable_object};

use crate::object::{self, Asked};
use crate::record::Record;
use crate::shell::ShellError;

/// The object that counts one party's tries of one thing, named by both.
#[durable_object(alarm)]
pub struct RateLimit {
    record: Result<Record<Bucket>, String>,
    /// The bucket of a limit that guards nothing.
    passing: Cell<Bucket>,
}

impl DurableObject for RateLimit {
    fn new(state: State, _: Env) -> Self {
        Self {
            record: Record::open(&state, Class::RateLimit).map_err(|error| error.to_string()),
            passing: Cell::default(),
        }
    }

    async fn fetch(&self, request: Request) -> worker::Result<Response> {
        Ok(match &self.record {
            Ok(record) => {
                let serving = self.serve(record, &request);
                object::request(&record.probe, &request, serving).await
            }
            Err(cause) => object::broken(cause),
        })
    }

    async fn alarm(&self) -> worker::Result<Response> {
        if let Ok(record) = &self.record {
            let work = async { record.alarmed() };
            record.probe.event(Event::Alarm, work).await;
        }
        Ok(object::done())
    }
}

impl RateLimit {
    async fn serve(&self, record: &Record<Bucket>, request: &Request) -> Response {
        match object::asked(request) {
            Ok(Asked::Call) => match object::read_call(&record.probe, request).await {
                Ok(name) => object::answer(self.take(record, name)),
                Err(error) => object::refused(&error),
            },
            Ok(_) => object::refused(&ApiError::not_found("call")),
            Err(error) => object::refused(&error),
        }
    }

    fn take(&self, record: &Record<Bucket>, name: LimitName) -> Result<String, ShellError> {
        let mut bucket = match name.guards() {
            true => record.load()?.unwrap_or_default(),
            false => self.passing.get(),
        };
        let wait = bucket.take(name.limit(), clock::now()).err();
        match (wait, name.guards()) {
            (Some(_), _) => {}
            (None, true) => record.store(&bucket, bucket.full_at)?,
            (None, false) => self.passing.set(bucket),
        }
        object::text(&Taken { wait })
    }
}
