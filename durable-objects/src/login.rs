//! SubscriptionLogin: the one writer of a person's login for an agent, and the only one that ever
//! has it refreshed.
//!
//! The login lies sealed in D1, so that one command encrypts everything anew; the object adds what a
//! table cannot: one refresh at a time. Whoever asks while one is under way gets the token in hand if
//! that still lives, and else waits for the result. When it is refreshed is decided in
//! [`sam_domain::login::keeper`].

#![expect(
    missing_docs,
    reason = "the attribute of the class writes methods without documentation"
)]

use std::time::Duration;

use futures::lock::Mutex;
use sam_domain::agents;
use sam_domain::error::ApiError;
use sam_domain::login::call::{LoginAsk, LoginCall, LoginName, LoginReply};
use sam_domain::login::file::Login;
use sam_domain::login::keeper::{Answered, Standing, Step, answered};
use sam_domain::login::{LoginKind, wire};
use sam_domain::provider::address::{self, Reach};
use sam_platform::bindings;
use sam_platform::clock;
use sam_platform::crypto::{Keyring, Secret, SigningKey};
use sam_platform::d1::agent_logins::{AgentLogins, StoredLogin, purpose};
use sam_platform::d1::{D1, D1Error};
use sam_platform::fetch::{self, Outgoing};
use sam_platform::objects::Class;
use sam_platform::probe::{Outside, Probe};
use worker::{DurableObject, Env, Request, Response, State, durable_object};

use crate::object::{self, Asked};
use crate::shell::ShellError;

/// How long a provider may take to refresh a login; a call of an object may take 15 s.
const PATIENCE: Duration = Duration::from_secs(10);
/// Longest answer that is read, in bytes.
const ANSWER_LIMIT: usize = 64 * 1024;

/// The object of one person's login for one agent.
#[durable_object(fetch)]
pub struct SubscriptionLogin {
    env: Env,
    probe: Probe,
    /// Held by whoever writes.
    writing: Mutex<()>,
}

impl DurableObject for SubscriptionLogin {
    fn new(state: State, env: Env) -> Self {
        Self {
            env,
            probe: Probe::of(&state, Class::SubscriptionLogin),
            writing: Mutex::new(()),
        }
    }

    async fn fetch(&self, request: Request) -> worker::Result<Response> {
        Ok(object::request(&self.probe, &request, self.serve(&request)).await)
    }
}

impl From<D1Error> for ShellError {
    fn from(error: D1Error) -> Self {
        Self::Stored {
            key: "login".to_owned(),
            cause: error.to_string(),
        }
    }
}

impl SubscriptionLogin {
    async fn serve(&self, request: &Request) -> Response {
        match object::asked(request) {
            Ok(Asked::Call) => match object::read_call(&self.probe, request).await {
                Ok(call) => object::answer(self.answer_call(call).await),
                Err(error) => object::refused(&error),
            },
            Ok(_) => object::refused(&ApiError::not_found("call")),
            Err(error) => object::refused(&error),
        }
    }

    async fn answer_call(&self, call: LoginCall) -> Result<String, ShellError> {
        let LoginCall { name, ask } = call;
        let kind = agents::listed(&name.agent).and_then(|agent| agent.own_login);
        let kind = kind.ok_or_else(|| ApiError::not_found("agent"))?;
        let database = bindings::database(&self.env).map_err(|e| ShellError::Stored {
            key: "database".to_owned(),
            cause: e.to_string(),
        })?;
        let at_work = Work {
            object: self,
            database,
            name,
            kind,
        };
        let reply = match ask {
            LoginAsk::Put(text) => at_work.take(&text).await?,
            LoginAsk::Remove => at_work.remove_login().await?,
            LoginAsk::HandOver => at_work.hand_over_login().await?,
        };
        object::text(&reply)
    }
}

/// One call at work.
struct Work<'a> {
    object: &'a SubscriptionLogin,
    database: D1,
    name: LoginName,
    kind: LoginKind,
}

impl Work<'_> {
    fn keyring(&self) -> Result<Keyring, ShellError> {
        let env = &self.object.env;
        let broken = |cause: String| ShellError::Stored {
            key: "encryption keys".to_owned(),
            cause,
        };
        let secret = bindings::secret(env, bindings::SAM_SECRET)
            .ok_or_else(|| broken("SAM_SECRET is not set".to_owned()))?;
        let key = SigningKey::new(&secret).map_err(|error| broken(error.to_string()))?;
        let setting = bindings::secret(env, bindings::SAM_CREDENTIAL_KEYS);
        Keyring::new(setting.as_ref(), &key).map_err(|error| broken(error.to_string()))
    }

    fn open(&self, held: &StoredLogin) -> Result<Login, ShellError> {
        let opened = self.keyring()?.open(&purpose(&self.name), &held.sealed());
        let login = opened
            .ok()
            .and_then(|text| Login::parse(self.kind, text.expose()).ok());
        login.ok_or_else(|| {
            let message = "The stored login cannot be read any more.";
            let hint = format!("Store it again with `sam agent login {}`.", self.name.agent);
            ApiError::new(403, "login_unreadable", message)
                .hint(hint)
                .into()
        })
    }

    async fn held(&self) -> Result<Option<StoredLogin>, ShellError> {
        let table = AgentLogins(&self.database);
        let read = table.login(&self.name);
        Ok(self.object.probe.outside(Outside::Database, read).await?)
    }

    /// Waits until nobody else writes.
    async fn alone(&self) -> futures::lock::MutexGuard<'_, ()> {
        let writing = self.object.writing.lock();
        self.object.probe.outside(Outside::Turn, writing).await
    }

    async fn take(&self, text: &str) -> Result<LoginReply, ShellError> {
        let login = Login::parse(self.kind, text).map_err(|error| {
            ApiError::new(
                422,
                "not_a_login",
                format!("This is no login of {}: {error}.", self.name.agent),
            )
        })?;
        let _alone = self.alone().await;
        let secret = Secret::new(login.text());
        let sealed = self.keyring()?.seal(&purpose(&self.name), &secret);
        let sealed = sealed.map_err(|error| ShellError::Stored {
            key: "login".to_owned(),
            cause: error.to_string(),
        })?;
        let (standing, now) = (standing(&login), clock::now());
        let table = AgentLogins(&self.database);
        let keep = table.keep(&self.name, &sealed, &standing, now);
        self.object.probe.outside(Outside::Database, keep).await?;
        let mut view = self.held().await?.map(|held| held.view(now));
        if let Some(view) = &mut view {
            view.warning = warning(&standing, view.needs_sign_in.is_some());
        }
        Ok(LoginReply {
            view,
            ..LoginReply::default()
        })
    }

    async fn remove_login(&self) -> Result<LoginReply, ShellError> {
        let _alone = self.alone().await;
        let held = self.held().await?;
        let table = AgentLogins(&self.database);
        let forget = table.forget(&self.name);
        self.object.probe.outside(Outside::Database, forget).await?;
        Ok(LoginReply {
            view: held.map(|held| held.view(clock::now())),
            ..LoginReply::default()
        })
    }

    async fn hand_over_login(&self) -> Result<LoginReply, ShellError> {
        let held = self.stored().await?;
        let now = clock::now();
        match held.standing().step(now) {
            Step::HandOver => return self.given(&held),
            Step::SignIn(problem) => return Err(wire::sign_in(&self.name.agent, problem).into()),
            Step::Refresh | Step::Wait(_) => {}
        }
        let _alone = self.alone().await;
        // Whoever was alone before may have done it.
        let mut held = self.stored().await?;
        if held.standing().step(clock::now()) == Step::Refresh {
            self.refresh(&held).await?;
            held = self.stored().await?;
        }
        match held.standing().step(clock::now()) {
            Step::HandOver => self.given(&held),
            Step::SignIn(problem) => Err(wire::sign_in(&self.name.agent, problem).into()),
            // The token is over and cannot be had anew just now.
            Step::Refresh | Step::Wait(_) => Err(ApiError::new(
                503,
                "login_not_refreshed",
                format!(
                    "The login of {} could not be refreshed just now.",
                    self.name.agent
                ),
            )
            .hint("It is tried again every minute.")
            .into()),
        }
    }

    async fn stored(&self) -> Result<StoredLogin, ShellError> {
        let held = self.held().await?;
        Ok(held.ok_or_else(|| wire::missing(&self.name.agent))?)
    }

    fn given(&self, held: &StoredLogin) -> Result<LoginReply, ShellError> {
        let now = clock::now();
        Ok(LoginReply {
            view: Some(held.view(now)),
            file: Some(self.open(held)?.for_agent(now)),
            ask_again_in: held.standing().ask_again_in(now),
        })
    }

    /// Has the tokens refreshed, once. That it begins is on record before it does.
    async fn refresh(&self, held: &StoredLogin) -> Result<(), ShellError> {
        let login = self.open(held)?;
        let Some(request) = login.refresh_request() else {
            return Ok(());
        };
        let (probe, table) = (&self.object.probe, AgentLogins(&self.database));
        let trying = table.trying(held, clock::now());
        if !probe.outside(Outside::Database, trying).await? {
            return Ok(());
        }
        let url = self.token_url()?;
        let outgoing = Outgoing {
            method: "POST",
            url: &url,
            headers: vec![
                ("content-type", "application/json".to_owned()),
                ("accept", "application/json".to_owned()),
                (
                    "user-agent",
                    concat!("sam/", env!("CARGO_PKG_VERSION")).to_owned(),
                ),
            ],
            body: Some(request.to_string().into_bytes()),
            first_byte_within: PATIENCE,
        };
        let agent = &self.name.agent;
        let sending = fetch::send(&outgoing);
        let incoming = match probe.outside(Outside::Provider, sending).await {
            Ok(incoming) => incoming,
            Err(error) => {
                worker::console_error!("login of {agent}: {error}");
                return Ok(());
            }
        };
        match answered(incoming.status) {
            Answered::Refreshed => {}
            Answered::Refused => {
                let refused = table.refused(held);
                probe.outside(Outside::Database, refused).await?;
                return Ok(());
            }
            Answered::Failed => {
                worker::console_error!("login of {agent}: status {}", incoming.status);
                return Ok(());
            }
        }
        let read = incoming.into_bytes(ANSWER_LIMIT);
        let read = probe.outside(Outside::Provider, read).await;
        let now = clock::now();
        let next = read
            .ok()
            .and_then(|bytes| String::from_utf8(bytes).ok())
            .and_then(|answer| serde_json::from_str(&answer).ok())
            .and_then(|answer| login.refreshed(&answer, now).ok());
        let Some(next) = next else {
            worker::console_error!("login of {agent}: an answer of another shape");
            return Ok(());
        };
        let secret = Secret::new(next.text());
        let sealed = self.keyring()?.seal(&purpose(&self.name), &secret);
        let sealed = sealed.map_err(|error| ShellError::Stored {
            key: "login".to_owned(),
            cause: error.to_string(),
        })?;
        let standing = standing(&next);
        let renewed = table.renewed(held, &sealed, &standing, now);
        probe.outside(Outside::Database, renewed).await?;
        Ok(())
    }

    fn token_url(&self) -> Result<String, ShellError> {
        let name = match self.kind {
            LoginKind::Codex => bindings::SAM_CODEX_TOKEN_URL,
            LoginKind::Claude => bindings::SAM_CLAUDE_TOKEN_URL,
        };
        match bindings::setting(&self.object.env, name) {
            None => Ok(self.kind.token_url().to_owned()),
            Some(text) => address::check(&text, Reach::Loopback).map_err(|error| {
                ApiError::new(503, "login_misconfigured", format!("{name}: {error}.")).into()
            }),
        }
    }
}

fn standing(login: &Login) -> Standing {
    Standing {
        expires_at: login.expires_at(),
        renewable: login.refresh_token().is_some(),
        ..Standing::default()
    }
}

/// What whoever stores a login is told of it.
fn warning(standing: &Standing, is_over: bool) -> Option<String> {
    let said = match (standing.renewable, is_over) {
        (false, true) => "It is over already, and has nothing to refresh it with.",
        (false, false) => "It has nothing to refresh it with, and works until its token ends.",
        (true, _) => return None,
    };
    Some(format!("{said} It is stored all the same."))
}
