//! Faults on demand, in a build of their own that is never deployed.
//!
//! - `POST /__fault/trap`: this instance of the Worker traps.
//! - `POST /__fault/hold`: a request that stays in flight for a minute.
//! - `POST /__fault/trap/{class}/{name}` and `/__fault/hold/{class}/{name}`: the same in an object.
//! - `GET /__fault/held`: how many such requests are in flight.
//! - `POST /__fault/evict/{class}/{name}` with `{"point"?, "nth"?}`: the object is evicted at that
//!   pass of the point, or of any point; `next` names the next object of the class that is made.
//! - `GET /__fault/evict`: the evictions that were asked for, and where each was done.
//! - `GET /__fault/passed/{class}/{name}`: the points an object passed, and what it was billed.
//! - `GET /__fault/counters`: what everything was billed.
//! - `GET /__fault/look/{class}/{name}`: what an object has stored.
//!
//! Such requests are themselves no event and are not counted.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::time::Duration;

use sam_domain::conversation::call::Done;
use sam_domain::error::ApiError;
use sam_platform::http;
use sam_platform::objects::{Class, Object};
use sam_platform::probe::registry::{self, Counts, Others};
use serde::Serialize;

use crate::call::Call;
use crate::errors::Answer;

const PREFIX: &str = "/__fault/";
const HELD: Duration = Duration::from_secs(60);

/// Answers a request for a fault; `None` for any other.
pub(crate) async fn answer(call: &Call) -> Option<Answer> {
    let Some(rest) = call.url.path().strip_prefix(PREFIX) else {
        registry::worker_request();
        return None;
    };
    let words: Vec<&str> = rest.split('/').collect();
    Some(match words.as_slice() {
        ["trap"] => trap(),
        ["hold"] => {
            let _held = Held::begin();
            worker::Delay::from(HELD).await;
            Ok(http::json(200, &Done {}))
        }
        ["held"] => Ok(http::json(200, &IN_FLIGHT.get())),
        ["trap", class, name] => in_object(call, class, name, true).await,
        ["hold", class, name] => in_object(call, class, name, false).await,
        ["evict", class, name] => evict(call, class, name).await,
        ["evict"] => Ok(http::json(200, &registry::armed())),
        ["passed", class, name] => passed(class, name),
        ["counters"] => Ok(http::json(200, &Counters::now())),
        ["look", class, name] => look(call, class, name).await,
        _ => Err(ApiError::not_found("fault").into()),
    })
}

thread_local! {
    static IN_FLIGHT: Cell<u32> = const { Cell::new(0) };
}

/// A request that is held; it counts for as long as this lives.
struct Held;

impl Held {
    fn begin() -> Self {
        IN_FLIGHT.set(IN_FLIGHT.get() + 1);
        Self
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        IN_FLIGHT.set(IN_FLIGHT.get().saturating_sub(1));
    }
}

fn trap() -> Answer {
    #[cfg(target_arch = "wasm32")]
    core::arch::wasm32::unreachable();
    #[cfg(not(target_arch = "wasm32"))]
    Err(ApiError::internal().into())
}

async fn in_object(call: &Call, class: &str, name: &str, trap: bool) -> Answer {
    let object = Object::named(&call.env, class_of(class)?, name)?;
    if trap {
        object.trap().await?;
    } else {
        let _held = Held::begin();
        object.hold().await?;
    }
    Ok(http::json(200, &Done {}))
}

fn class_of(word: &str) -> Result<Class, ApiError> {
    Class::ALL
        .into_iter()
        .find(|class| class.name() == word)
        .ok_or_else(|| ApiError::not_found("class"))
}

async fn evict(call: &Call, class: &str, name: &str) -> Answer {
    registry::arm(class_of(class)?, name, call.json().await?);
    Ok(http::json(200, &Done {}))
}

fn passed(class: &str, name: &str) -> Answer {
    let record = registry::record(class_of(class)?, name);
    let record = record.ok_or_else(|| ApiError::not_found("object"))?;
    Ok(http::json(200, &record))
}

async fn look(call: &Call, class: &str, name: &str) -> Answer {
    let object = Object::named(&call.env, class_of(class)?, name)?;
    Ok(http::json(200, &object.look().await?))
}

/// What was billed since the instance began.
#[derive(Serialize)]
struct Counters {
    objects: BTreeMap<&'static str, BTreeMap<String, Counts>>,
    others: Others,
}

impl Counters {
    fn now() -> Self {
        let (objects, others) = registry::counts();
        Self { objects, others }
    }
}
