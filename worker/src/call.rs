//! One request in flight, with what every handler needs.

use std::cell::Cell;

use sam_domain::error::ApiError;
use sam_domain::id::{Id, RequestId};
use sam_domain::time::Timestamp;
use sam_platform::background::Background;
use sam_platform::bindings;
use sam_platform::crypto::{Secret, SigningKey};
use sam_platform::d1::D1;
use sam_platform::{clock, entropy, http};
use serde::de::DeserializeOwned;
use url::Url;
use worker::{Env, Request};

use crate::errors::{Failed, hidden};

/// Longest JSON body of a route that says nothing else, in bytes.
pub(crate) const JSON_LIMIT: usize = 1024 * 1024;

/// One request in flight.
pub(crate) struct Call {
    /// The bindings.
    pub(crate) env: Env,
    /// The request.
    pub(crate) request: Request,
    /// Its id, named in its errors and records.
    pub(crate) id: RequestId,
    /// When it came.
    pub(crate) now: Timestamp,
    /// Its URL.
    pub(crate) url: Url,
    /// What outlives its response.
    pub(crate) background: Background,
    /// The values of the path's `{…}` segments.
    pub(crate) segments: Vec<String>,
    /// In how many seconds a refused try may be repeated.
    pub(crate) retry_after: Cell<Option<u64>>,
}

impl Call {
    /// Takes a request in; fails when its URL cannot be read.
    pub(crate) fn new(
        request: Request,
        env: Env,
        context: &worker::Context,
    ) -> Result<Self, worker::Error> {
        let now = clock::now();
        Ok(Self {
            url: request.url()?,
            // An id that is not random names its request less well and opens nothing.
            id: RequestId::mint(now, entropy::for_id().unwrap_or_default()),
            now,
            env,
            request,
            background: Background::of_request(context),
            segments: Vec::new(),
            retry_after: Cell::new(None),
        })
    }

    /// A call of our own that goes on after the reply to this one.
    pub(crate) fn apart(&self) -> Result<Self, Failed> {
        // Later than whatever it is about: its records are looked for from there on.
        let now = clock::now();
        Ok(Self {
            request: Request::new(self.url.as_str(), worker::Method::Get)?,
            id: RequestId::mint(now, entropy::for_id()?),
            env: self.env.clone(),
            url: self.url.clone(),
            now,
            background: self.background.clone(),
            segments: Vec::new(),
            retry_after: Cell::new(None),
        })
    }

    /// A request header.
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        http::header(&self.request, name)
    }

    /// Whether the request asks for a WebSocket.
    pub(crate) fn is_upgrade(&self) -> bool {
        self.header("upgrade")
            .is_some_and(|value| value.eq_ignore_ascii_case("websocket"))
    }

    /// The `index`th segment of the path as an id; what is not one names nothing.
    pub(crate) fn id<T: Id>(&self, index: usize, what: &str) -> Result<T, ApiError> {
        self.segment(index)
            .and_then(|text| text.parse().ok())
            .ok_or_else(|| ApiError::not_found(what))
    }

    /// The `index`th segment of the path.
    pub(crate) fn segment(&self, index: usize) -> Option<&str> {
        self.segments.get(index).map(String::as_str)
    }

    /// A query parameter; 400 naming it when it is there and cannot be read.
    pub(crate) fn query<T: std::str::FromStr>(&self, name: &str) -> Result<Option<T>, ApiError> {
        let Some((_, value)) = self.url.query_pairs().find(|(key, _)| key == name) else {
            return Ok(None);
        };
        value.parse().map(Some).map_err(|_| {
            ApiError::new(
                400,
                "bad_parameter",
                format!("The query parameter `{name}` cannot be read."),
            )
        })
    }

    /// The query parameter `limit`, between 1 and `most`.
    pub(crate) fn limit(&self, most: u32) -> Result<u32, ApiError> {
        Ok(self.query("limit")?.unwrap_or(most).clamp(1, most))
    }

    /// The JSON body.
    pub(crate) async fn json<T: DeserializeOwned>(&self) -> Result<T, Failed> {
        Ok(http::parse_json(&self.json_body().await?)?)
    }

    async fn json_body(&self) -> Result<Vec<u8>, Failed> {
        Ok(http::read_stated_body(&self.request, JSON_LIMIT).await?)
    }

    /// The key of every token.
    pub(crate) fn key(&self) -> Result<SigningKey, Failed> {
        let secret = bindings::secret(&self.env, bindings::SAM_SECRET)
            .ok_or_else(|| hidden(&"SAM_SECRET is not set"))?;
        Ok(SigningKey::new(&secret)?)
    }

    /// The database.
    pub(crate) fn database(&self) -> Result<D1, Failed> {
        Ok(bindings::database(&self.env)?)
    }

    /// The database as one asks it who the sender is and what they may do: what only reads may rest on
    /// an answer of a few seconds ago; what changes something, or stays open, rests on the present.
    pub(crate) fn access_database(&self) -> Result<D1, Failed> {
        let database = self.database()?;
        if matches!(self.request.method(), worker::Method::Get) && !self.is_upgrade() {
            return Ok(database.recent(self.now));
        }
        Ok(database)
    }

    /// A new id.
    pub(crate) fn mint<T: Id>(&self) -> Result<T, Failed> {
        Ok(T::mint(self.now, entropy::for_id()?))
    }

    /// The token of the `Authorization` header.
    pub(crate) fn bearer(&self) -> Option<Secret> {
        http::bearer(&self.request)
    }

    /// Where people reach this installation: configured, or as the request reached it.
    pub(crate) fn public_url(&self) -> Url {
        bindings::url_setting(&self.env, bindings::SAM_PUBLIC_URL)
            .and_then(|text| Url::parse(&text).ok())
            .unwrap_or_else(|| self.url.clone())
    }

    /// Whether cookies travel over TLS alone.
    pub(crate) fn secure_cookies(&self) -> bool {
        self.public_url().scheme() == "https"
    }
}
