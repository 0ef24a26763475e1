//! Typed calls to objects, from the Worker and from other objects.
//!
//! A call is one JSON value `POST`ed to the object and answered by its reply or by an [`ApiError`]
//! under its status. Each call has a deadline: an object that does not answer is `Unavailable`, and
//! whether the call took effect is then not known, so calls that write carry an idempotency key or
//! are harmless when repeated.
//!
//! Objects are named by the id of what they own, so an id from outside reaches exactly one object.

use std::time::Duration;

use sam_domain::actor::Envelope;
use sam_domain::actor::inbox::Receipt;
use sam_domain::device::code::UserCode;
use sam_domain::error::{ApiError, ErrorBody};
use sam_domain::id::{Id, NodeId, ProjectId, TaskId, UserId};
use sam_domain::limit::LimitName;
use sam_domain::login::call::LoginName;
use serde::Serialize;
use serde::de::DeserializeOwned;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use worker::Env;

use crate::bindings::{self, BindingError};
use crate::fetch::within;
use crate::js::JsFailure;

#[wasm_bindgen]
extern "C" {
    type RawNamespace;
    type RawId;
    #[derive(Debug, Clone)]
    type RawStub;

    #[wasm_bindgen(structural, method, catch, js_name = idFromName)]
    fn id_from_name(this: &RawNamespace, name: &str) -> Result<RawId, JsValue>;

    #[wasm_bindgen(structural, method, catch, js_name = get)]
    fn get_stub(this: &RawNamespace, id: &RawId) -> Result<RawStub, JsValue>;

    #[wasm_bindgen(structural, method, catch, js_name = fetch)]
    fn fetch(this: &RawStub, request: &web_sys::Request) -> Result<js_sys::Promise, JsValue>;
}

/// Where calls are posted.
pub const CALL_URL: &str = "http://object/call";
/// Where messages of other machines are delivered.
pub const INBOX_URL: &str = "http://object/inbox";
/// Where a build with `fault-injection` makes an object trap.
pub const TRAP_URL: &str = "http://object/fault/trap";
/// Where such a build keeps a request in flight for a minute, to see what a trap does to it.
pub const HOLD_URL: &str = "http://object/fault/hold";
/// Where such a build tells what an object has stored.
pub const LOOK_URL: &str = "http://object/fault/look";
/// How long it is kept.
pub const HOLD_TIME: Duration = Duration::from_secs(60);
/// How long a call may take.
pub const CALL_DEADLINE: Duration = Duration::from_secs(15);
/// How long the delivery of one message may take.
pub const DELIVERY_DEADLINE: Duration = Duration::from_secs(10);

/// Why a call brought no reply.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The object refused, in the contract's words.
    #[error(transparent)]
    Refused(#[from] ApiError),
    /// The object could not be reached or did not answer in time. The text is for the log.
    #[error("the object is unavailable: {0}")]
    Unavailable(JsFailure),
}

impl CallError {
    fn unavailable(message: impl Into<String>) -> Self {
        Self::Unavailable(JsFailure::new(message))
    }
}

impl From<BindingError> for CallError {
    fn from(error: BindingError) -> Self {
        Self::unavailable(error.to_string())
    }
}

impl From<CallError> for ApiError {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Refused(error) => error,
            CallError::Unavailable(_) => ApiError::new(
                503,
                "unavailable",
                "A part of the control plane did not answer.",
            )
            .hint("Try again in a moment; repeating the request is harmless."),
        }
    }
}

/// A class of objects: its binding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// One per project.
    ProjectData,
    /// One per task.
    TaskRunner,
    /// One per node.
    NodeLifecycle,
    /// One per owner of nodes.
    NodePool,
    /// One per person, one per project, one for the installation.
    Budget,
    /// One per user code of a device flow.
    DeviceFlow,
    /// One per thing that is limited and whoever tries it.
    RateLimit,
    /// One per person and agent that has a login of its own.
    SubscriptionLogin,
}

impl Class {
    /// All classes.
    pub const ALL: [Self; 8] = [
        Self::ProjectData,
        Self::TaskRunner,
        Self::NodeLifecycle,
        Self::NodePool,
        Self::Budget,
        Self::DeviceFlow,
        Self::RateLimit,
        Self::SubscriptionLogin,
    ];

    /// Its name, as the Worker exports it.
    pub fn name(self) -> &'static str {
        match self {
            Self::ProjectData => "ProjectData",
            Self::TaskRunner => "TaskRunner",
            Self::NodeLifecycle => "NodeLifecycle",
            Self::NodePool => "NodePool",
            Self::Budget => "Budget",
            Self::DeviceFlow => "DeviceFlow",
            Self::RateLimit => "RateLimit",
            Self::SubscriptionLogin => "SubscriptionLogin",
        }
    }

    /// The binding's name.
    pub fn binding(self) -> &'static str {
        match self {
            Self::ProjectData => "PROJECT_DATA",
            Self::TaskRunner => "TASK_RUNNER",
            Self::NodeLifecycle => "NODE_LIFECYCLE",
            Self::NodePool => "NODE_POOL",
            Self::Budget => "BUDGET",
            Self::DeviceFlow => "DEVICE_FLOW",
            Self::RateLimit => "RATE_LIMIT",
            Self::SubscriptionLogin => "SUBSCRIPTION_LOGIN",
        }
    }
}

/// One object, not necessarily awake.
#[derive(Debug, Clone)]
pub struct Object {
    stub: RawStub,
}

impl Object {
    /// The object of a class with this name. No request is made yet.
    pub fn named(env: &Env, class: Class, name: &str) -> Result<Self, CallError> {
        let namespace = bindings::raw(env, class.binding())?;
        let namespace: &RawNamespace = namespace.unchecked_ref();
        let failed = |thrown: JsValue| CallError::Unavailable(thrown.into());
        let id = namespace.id_from_name(name).map_err(failed)?;
        let stub = namespace.get_stub(&id).map_err(failed)?;
        Ok(Self { stub })
    }

    async fn send(
        &self,
        request: &web_sys::Request,
        deadline: Duration,
    ) -> Result<web_sys::Response, CallError> {
        let failed = |thrown: JsValue| CallError::Unavailable(thrown.into());
        let promise = self.stub.fetch(request).map_err(failed)?;
        let response = within(deadline, JsFuture::from(promise))
            .await
            .ok_or_else(|| CallError::unavailable(format!("no answer within {deadline:?}")))?
            .map_err(failed)?;
        Ok(response.unchecked_into())
    }

    async fn text(response: &web_sys::Response) -> Result<String, CallError> {
        let failed = |thrown: JsValue| CallError::Unavailable(thrown.into());
        let promise = response.text().map_err(failed)?;
        let text = within(CALL_DEADLINE, JsFuture::from(promise))
            .await
            .ok_or_else(|| CallError::unavailable("the answer broke off"))?
            .map_err(failed)?;
        text.as_string()
            .ok_or_else(|| CallError::unavailable("the answer is not text"))
    }

    /// Posts, and tells an answer that is not a success as what it refused.
    async fn accepted(
        &self,
        request: &web_sys::Request,
        deadline: Duration,
    ) -> Result<web_sys::Response, CallError> {
        let response = self.send(request, deadline).await?;
        if response.ok() {
            return Ok(response);
        }
        let status = response.status();
        let text = Self::text(&response).await?;
        match sam_domain::json::from_str::<ErrorBody>(&text) {
            Ok(ErrorBody { mut error }) => {
                error.status = status;
                Err(CallError::Refused(error))
            }
            Err(_) => Err(CallError::unavailable(format!("it answered {status}"))),
        }
    }

    async fn exchange<R: DeserializeOwned>(
        &self,
        url: &str,
        body: &impl Serialize,
        deadline: Duration,
    ) -> Result<R, CallError> {
        let text = self.exchanged(url, json(body)?, deadline).await?;
        sam_domain::json::from_str(&text).map_err(|error| of_another_shape(&error))
    }

    async fn exchanged(
        &self,
        url: &str,
        body: String,
        deadline: Duration,
    ) -> Result<String, CallError> {
        let response = self.accepted(&json_request(url, &body)?, deadline).await?;
        Self::text(&response).await
    }

    /// Makes a call (`ProjectCall`, `TaskCall`, `NodeCall`) and reads its reply, of the type that the
    /// call's documentation names.
    pub async fn call<R: DeserializeOwned>(&self, call: &impl Serialize) -> Result<R, CallError> {
        self.exchange(CALL_URL, call, CALL_DEADLINE).await
    }

    /// Makes a call and hands its reply on as text, unread: it becomes a part of what the client gets.
    pub async fn text_of(&self, call: &impl Serialize) -> Result<String, CallError> {
        self.exchanged(CALL_URL, json(call)?, CALL_DEADLINE).await
    }

    /// Makes a call and hands its reply on as it is, unread: the object writes what the client gets.
    pub async fn relay(&self, call: &impl Serialize) -> Result<worker::Response, CallError> {
        self.relayed(json(call)?).await
    }

    async fn relayed(&self, call: String) -> Result<worker::Response, CallError> {
        let request = json_request(CALL_URL, &call)?;
        Ok(self.accepted(&request, CALL_DEADLINE).await?.into())
    }

    /// Posts bytes that came from outside, with what was found out about their sender in the internal
    /// header, and hands the reply on as it is.
    pub async fn forward_body(
        &self,
        url: &str,
        access: &impl Serialize,
        body: &[u8],
    ) -> Result<worker::Response, CallError> {
        self.body_forwarded(url, &json(access)?, body).await
    }

    async fn body_forwarded(
        &self,
        url: &str,
        access: &str,
        body: &[u8],
    ) -> Result<worker::Response, CallError> {
        let failed = |thrown: JsValue| CallError::Unavailable(thrown.into());
        let init = web_sys::RequestInit::new();
        init.set_method("POST");
        init.set_body(&js_sys::Uint8Array::from(body));
        let headers = web_sys::Headers::new().map_err(failed)?;
        headers
            .set(sam_domain::access::internal::HEADER, access)
            .map_err(failed)?;
        init.set_headers(&headers);
        let request = web_sys::Request::new_with_str_and_init(url, &init).map_err(failed)?;
        Ok(self.accepted(&request, CALL_DEADLINE).await?.into())
    }

    /// Delivers one message of another machine and says what the receiver made of it. An error means
    /// that this is not known and the delivery must be repeated.
    pub async fn deliver(&self, envelope: &Envelope) -> Result<Receipt, CallError> {
        self.exchange(INBOX_URL, envelope, DELIVERY_DEADLINE).await
    }

    /// Hands an upgrade request on to the object, with what was found out about its sender in the
    /// internal header. The caller has removed that header from what came from outside; here it is
    /// replaced in any case.
    pub async fn forward_upgrade(
        &self,
        request: &worker::Request,
        url: &str,
        access: &impl Serialize,
    ) -> Result<web_sys::Response, CallError> {
        self.upgrade_forwarded(request, url, &json(access)?).await
    }

    async fn upgrade_forwarded(
        &self,
        request: &worker::Request,
        url: &str,
        access: &str,
    ) -> Result<web_sys::Response, CallError> {
        let failed = |thrown: JsValue| CallError::Unavailable(thrown.into());
        let init = web_sys::RequestInit::new();
        init.set_method("GET");
        let headers =
            web_sys::Headers::new_with_headers(&request.inner().headers()).map_err(failed)?;
        headers
            .set(sam_domain::access::internal::HEADER, access)
            .map_err(failed)?;
        // The token has done its work; it goes no further.
        headers.delete("authorization").map_err(failed)?;
        headers.delete("cookie").map_err(failed)?;
        init.set_headers(&headers);
        let forwarded = web_sys::Request::new_with_str_and_init(url, &init).map_err(failed)?;
        let promise = self.stub.fetch(&forwarded).map_err(failed)?;
        let response = within(CALL_DEADLINE, JsFuture::from(promise))
            .await
            .ok_or_else(|| CallError::unavailable("no answer"))?
            .map_err(failed)?;
        Ok(response.unchecked_into())
    }

    /// Keeps a request to the object in flight, in builds with `fault-injection`. Only tests call
    /// it.
    pub async fn hold(&self) -> Result<(), CallError> {
        self.exchange::<serde_json::Value>(HOLD_URL, &(), Duration::from_secs(120))
            .await
            .map(|_| ())
    }

    /// What the object has stored, in builds with `fault-injection`. Only tests call it.
    pub async fn look(&self) -> Result<serde_json::Value, CallError> {
        self.exchange(LOOK_URL, &(), CALL_DEADLINE).await
    }

    /// Makes the object trap, in builds with `fault-injection`. Only tests call it.
    pub async fn trap(&self) -> Result<(), CallError> {
        self.exchange::<serde_json::Value>(TRAP_URL, &(), CALL_DEADLINE)
            .await
            .map(|_| ())
    }
}

fn json(value: &impl Serialize) -> Result<String, CallError> {
    serde_json::to_string(value).map_err(|error| CallError::unavailable(error.to_string()))
}

fn of_another_shape(error: &serde_json::Error) -> CallError {
    CallError::unavailable(format!("a reply of another shape: {error}"))
}

fn json_request(url: &str, body: &str) -> Result<web_sys::Request, CallError> {
    let init = web_sys::RequestInit::new();
    init.set_method("POST");
    init.set_body(&JsValue::from_str(body));
    web_sys::Request::new_with_str_and_init(url, &init)
        .map_err(|thrown| CallError::Unavailable(thrown.into()))
}

/// The object of a project.
pub fn project(env: &Env, id: &ProjectId) -> Result<Object, CallError> {
    Object::named(env, Class::ProjectData, id.as_str())
}

/// The object of a task.
pub fn task(env: &Env, id: &TaskId) -> Result<Object, CallError> {
    Object::named(env, Class::TaskRunner, id.as_str())
}

/// The object of a node.
pub fn node(env: &Env, id: &NodeId) -> Result<Object, CallError> {
    Object::named(env, Class::NodeLifecycle, id.as_str())
}

/// The object of a person's pool of nodes.
pub fn pool(env: &Env, owner: &UserId) -> Result<Object, CallError> {
    Object::named(env, Class::NodePool, owner.as_str())
}

/// The budget of a person or a project, by their id, or the installation's.
pub fn budget(env: &Env, holder: &str) -> Result<Object, CallError> {
    Object::named(env, Class::Budget, holder)
}

/// The object of a user code's device flow.
pub fn device_flow(env: &Env, code: &UserCode) -> Result<Object, CallError> {
    Object::named(env, Class::DeviceFlow, code.letters())
}

/// The object that counts what `who` tries of what is limited under this name.
pub fn rate_limit(env: &Env, limit: LimitName, who: &str) -> Result<Object, CallError> {
    Object::named(env, Class::RateLimit, &format!("{}/{who}", limit.word()))
}

/// The object of a person's login for an agent.
pub fn login(env: &Env, name: &LoginName) -> Result<Object, CallError> {
    Object::named(env, Class::SubscriptionLogin, &name.to_string())
}
