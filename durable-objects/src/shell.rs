//! What every object does around its machine.
//!
//! A turn loads the actor from its one row, steps it, stores it and sets the alarm, without awaiting
//! anything outside in between: the runtime commits all of it together or none. What the machine
//! wants to tell others lies in the stored outbox; the drain ([`crate::mail`]) delivers it afterwards.
//!
//! Nothing of an actor is kept in memory between turns, so a turn that was undone cannot be
//! remembered.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::marker::PhantomData;

use sam_domain::actor::{Actor, Address, Envelope, Machine};
use sam_domain::error::ApiError;
use sam_domain::id::Id as _;
use sam_domain::time::{Millis, Timestamp, Turn};
use sam_platform::alarm::Alarm;
use sam_platform::background::Background;
use sam_platform::js::JsFailure;
use sam_platform::sql::{Sql, SqlError};
use sam_platform::{clock, entropy, params};
use serde::Deserialize;
use worker::{Env, State};

/// How long an actor that could not be woken is left alone.
const BROKEN_PAUSE: Millis = Millis::minutes(1);

const SCHEMA: [&str; 2] = [
    // One row an actor: state, outbox, inbox and deadline as one value.
    "CREATE TABLE IF NOT EXISTS actors (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    // When an actor has something to do; absent for never. Apart from the values, so that finding
    // the earliest reads little.
    "CREATE TABLE IF NOT EXISTS wakes (key TEXT PRIMARY KEY, at INTEGER NOT NULL) WITHOUT ROWID",
];

/// What a turn can fail with. The text is for the log; a caller is told `internal`.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ShellError {
    /// Storage failed.
    #[error(transparent)]
    Sql(#[from] SqlError),
    /// A stored value is not what this version reads.
    #[error("stored value of {key}: {cause}")]
    Stored {
        /// Whose.
        key: String,
        /// What is wrong.
        cause: String,
    },
    /// The runtime failed.
    #[error(transparent)]
    Runtime(#[from] JsFailure),
    /// No randomness.
    #[error(transparent)]
    Entropy(#[from] entropy::EntropyError),
    /// Refused, in the contract's words. The turn is undone.
    #[error(transparent)]
    Refused(#[from] ApiError),
}

impl From<ShellError> for ApiError {
    fn from(error: ShellError) -> Self {
        match error {
            ShellError::Refused(error) => error,
            other => {
                worker::console_error!("object: {other}");
                Self::internal()
            }
        }
    }
}

/// The storage, alarm and mail of one object whose actors run the machine `M`.
pub(crate) struct Shell<M> {
    pub(crate) env: Env,
    pub(crate) sql: Sql,
    pub(crate) alarm: Alarm,
    pub(crate) background: Background,
    /// Actors that have mail to deliver, as far as this instance knows; the alarm finds the rest.
    pub(crate) pending: RefCell<BTreeSet<String>>,
    pub(crate) draining: Cell<bool>,
    machine: PhantomData<fn() -> M>,
}

#[derive(Deserialize)]
struct ValueRow {
    value: String,
}

#[derive(Deserialize)]
struct KeyRow {
    key: String,
}

#[derive(Deserialize)]
struct EarliestRow {
    at: Option<Timestamp>,
}

/// The key under which an actor is stored in its object.
pub(crate) fn key_of(address: &Address) -> String {
    match address {
        Address::Session { session, .. } => session.as_str().to_owned(),
        Address::Task(id) => id.as_str().to_owned(),
        Address::Node(id) => id.as_str().to_owned(),
        Address::Pool(id) => id.as_str().to_owned(),
        Address::Index => "index".to_owned(),
    }
}

impl<M: Machine> Shell<M> {
    /// Opens the object's storage and makes its tables.
    pub(crate) fn open(state: &State, env: Env) -> Result<Self, ShellError> {
        let sql = Sql::of(state)?;
        for statement in SCHEMA {
            sql.run(statement, &[])?;
        }
        Ok(Self {
            env,
            sql,
            alarm: Alarm::of(state)?,
            background: Background::of_object(state),
            pending: RefCell::new(BTreeSet::new()),
            draining: Cell::new(false),
            machine: PhantomData,
        })
    }

    /// A turn that begins now.
    pub(crate) fn begin(&self) -> Result<Turn, ShellError> {
        Ok(Turn::new(clock::now(), entropy::seed()?))
    }

    /// The stored actor, if there is one.
    pub(crate) fn load(&self, key: &str) -> Result<Option<Actor<M::State>>, ShellError> {
        let row: Option<ValueRow> = self
            .sql
            .first("SELECT value FROM actors WHERE key = ?", params![key])?;
        row.map(|row| {
            serde_json::from_str(&row.value).map_err(|error| ShellError::Stored {
                key: key.to_owned(),
                cause: error.to_string(),
            })
        })
        .transpose()
    }

    /// The stored actor, or one that nobody has spoken to.
    pub(crate) fn load_or_new(&self, address: &Address) -> Result<Actor<M::State>, ShellError> {
        Ok(self
            .load(&key_of(address))?
            .unwrap_or_else(|| Actor::new(address.clone())))
    }

    /// Stores an actor with the moment at which it has something to do.
    pub(crate) fn store(&self, actor: &Actor<M::State>) -> Result<(), ShellError> {
        let key = key_of(&actor.address);
        let value = serde_json::to_string(actor).map_err(|error| ShellError::Stored {
            key: key.clone(),
            cause: error.to_string(),
        })?;
        self.sql.run(
            "INSERT INTO actors (key, value) VALUES (?1, ?2) \
             ON CONFLICT (key) DO UPDATE SET value = excluded.value",
            params![&key, value],
        )?;
        self.set_wake(&key, actor.wake_at())?;
        if !actor.outbox.is_empty() {
            self.pending.borrow_mut().insert(key);
        }
        Ok(())
    }

    fn set_wake(&self, key: &str, at: Option<Timestamp>) -> Result<(), ShellError> {
        match at {
            Some(at) => self.sql.run(
                "INSERT INTO wakes (key, at) VALUES (?1, ?2) \
                 ON CONFLICT (key) DO UPDATE SET at = excluded.at WHERE at <> excluded.at",
                params![key, at],
            )?,
            None => self
                .sql
                .run("DELETE FROM wakes WHERE key = ?", params![key])?,
        };
        Ok(())
    }

    /// Sets the alarm to the earliest stored moment, unless an earlier alarm is set already. An
    /// alarm that turns out to be too early finds nothing to do and sets the next.
    pub(crate) fn arm(&self) -> Result<(), ShellError> {
        let row: Option<EarliestRow> = self.sql.first("SELECT MIN(at) AS at FROM wakes", &[])?;
        if let Some(at) = row.and_then(|row| row.at) {
            self.alarm.set_if_earlier(at)?;
        }
        Ok(())
    }

    /// Actors whose moment has come, and those with mail that this instance knows of.
    pub(crate) fn woken(&self, now: Timestamp) -> Result<Vec<String>, ShellError> {
        let rows: Vec<KeyRow> = self.sql.rows(
            "SELECT key FROM wakes WHERE at <= ? ORDER BY at LIMIT 100",
            params![now],
        )?;
        Ok(rows.into_iter().map(|row| row.key).collect())
    }

    /// Leaves an actor alone for a while whose stored value cannot be read, so that it silences no
    /// other.
    pub(crate) fn set_aside(&self, key: &str, now: Timestamp) {
        let _ = self.set_wake(key, Some(now.plus(BROKEN_PAUSE)));
    }

    /// The envelopes of one actor that are due now.
    pub(crate) fn due(
        &self,
        key: &str,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<Envelope>, ShellError> {
        Ok(self
            .load(key)?
            .map(|actor| actor.due(now, limit))
            .unwrap_or_default())
    }
}
