//! DeviceFlow: one program that asks to be signed in.

#![expect(
    missing_docs,
    reason = "the attribute of the class writes methods without documentation"
)]

use sam_domain::device::call::{Begun, Decided, DeviceCall};
use sam_domain::device::code::UserCode;
use sam_domain::device::flow::{DeviceFlow as Flow, DeviceInput, Standing};
use sam_domain::device::wire::{DeviceState, DeviceView};
use sam_domain::error::ApiError;
use sam_domain::time::Timestamp;
use sam_platform::clock;
use sam_platform::objects::Class;
use sam_platform::probe::Event;
use worker::{DurableObject, Env, Request, Response, State, durable_object};

use crate::object::{self, Asked};
use crate::record::Record;
use crate::shell::ShellError;

/// The object of one device flow, named by the letters of its user code.
#[durable_object(alarm)]
pub struct DeviceFlow {
    record: Result<Record<Flow>, String>,
    /// The code that the object is named by.
    code: Option<UserCode>,
}

impl DurableObject for DeviceFlow {
    fn new(state: State, _: Env) -> Self {
        let name = state.as_raw().id().ok().and_then(|id| id.name());
        Self {
            record: Record::open(&state, Class::DeviceFlow).map_err(|error| error.to_string()),
            code: name.and_then(|name| name.parse().ok()),
        }
    }

    async fn fetch(&self, request: Request) -> worker::Result<Response> {
        Ok(match (&self.record, &self.code) {
            (Ok(record), Some(code)) => {
                object::request(&record.probe, &request, serve(record, *code, &request)).await
            }
            (Ok(_), None) => object::broken("a device flow is named by its code"),
            (Err(cause), _) => object::broken(cause),
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

async fn serve(record: &Record<Flow>, code: UserCode, request: &Request) -> Response {
    match object::asked(request) {
        Ok(Asked::Call) => match object::read_call(&record.probe, request).await {
            Ok(call) => object::answer(self::call(record, code, call)),
            Err(error) => object::refused(&error),
        },
        Ok(_) => object::refused(&ApiError::not_found("call")),
        Err(error) => object::refused(&error),
    }
}

/// One call is one turn: nothing is awaited between reading the flow and storing it.
fn call(record: &Record<Flow>, code: UserCode, call: DeviceCall) -> Result<String, ShellError> {
    let now = clock::now();
    match call {
        DeviceCall::Begin { device_hmac, asked } => {
            if record.load()?.is_some() {
                return object::text(&Begun::Taken);
            }
            store(record, &Flow::begin(device_hmac, asked, now))?;
            object::text(&Begun::Begun)
        }
        DeviceCall::Look => object::text(&view(code, &held(record)?, now)),
        DeviceCall::Decide { by, approve } => {
            let mut flow = held(record)?;
            let input = match approve {
                true => DeviceInput::Approved { by },
                false => DeviceInput::Denied,
            };
            let answer = step(record, &mut flow, now, input)?;
            let view = view(code, &flow, now);
            object::text(&Decided { answer, view })
        }
        DeviceCall::Poll {
            device_hmac,
            client_id,
        } => {
            let input = DeviceInput::Polled {
                device_hmac,
                client_id,
            };
            object::text(&step(record, &mut held(record)?, now, input)?)
        }
    }
}

fn held(record: &Record<Flow>) -> Result<Flow, ShellError> {
    Ok(record
        .load()?
        .ok_or_else(|| ApiError::not_found("device code"))?)
}

fn store(record: &Record<Flow>, flow: &Flow) -> Result<(), ShellError> {
    record.store(flow, flow.forgotten_at())
}

fn step(
    record: &Record<Flow>,
    flow: &mut Flow,
    now: Timestamp,
    input: DeviceInput,
) -> Result<sam_domain::device::flow::DeviceAnswer, ShellError> {
    let before = flow.clone();
    let answer = flow.step(now, input);
    if *flow != before {
        store(record, flow)?;
    }
    Ok(answer)
}

fn view(code: UserCode, flow: &Flow, now: Timestamp) -> DeviceView {
    let state = match &flow.standing {
        Standing::Pending | Standing::Approved { .. } if now >= flow.expires_at => {
            DeviceState::Expired
        }
        Standing::Pending => DeviceState::Pending,
        Standing::Approved { .. } => DeviceState::Approved,
        Standing::Denied => DeviceState::Denied,
        Standing::Expired => DeviceState::Expired,
        Standing::Redeemed => DeviceState::Redeemed,
    };
    DeviceView {
        user_code: code,
        state,
        asked: flow.asked.clone(),
        created_at: flow.created_at,
        expires_at: flow.expires_at,
    }
}
