//! RateLimit: how often somebody has tried something.

#![expect(
    missing_docs,
    reason = "the attribute of the class writes methods without documentation"
)]

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
}

impl DurableObject for RateLimit {
    fn new(state: State, _: Env) -> Self {
        Self {
            record: Record::open(&state, Class::RateLimit).map_err(|error| error.to_string()),
        }
    }

    async fn fetch(&self, request: Request) -> worker::Result<Response> {
        Ok(match &self.record {
            Ok(record) => object::request(&record.probe, &request, serve(record, &request)).await,
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

async fn serve(record: &Record<Bucket>, request: &Request) -> Response {
    match object::asked(request) {
        Ok(Asked::Call) => match object::read_call(&record.probe, request).await {
            Ok(name) => object::answer(take(record, name)),
            Err(error) => object::refused(&error),
        },
        Ok(_) => object::refused(&ApiError::not_found("call")),
        Err(error) => object::refused(&error),
    }
}

fn take(record: &Record<Bucket>, name: LimitName) -> Result<String, ShellError> {
    let mut bucket = record.load()?.unwrap_or_default();
    let taken = match bucket.take(name.limit(), clock::now()) {
        Ok(()) => {
            record.store(&bucket, bucket.full_at)?;
            Taken { wait: None }
        }
        Err(wait) => Taken { wait: Some(wait) },
    };
    object::text(&taken)
}
