//! What every object does around its machine.
//!
//! A turn loads the actor from its one row, steps it, stores it and sets the alarm, without awaiting
//! anything outside in between: the runtime commits all of it together or none. What the machine
//! wants to tell others lies in the stored outbox; the drain ([`crate::mail`]) delivers it afterwards.
//!
//! Nothing of an actor is kept in memory between turns, so a turn that was undone cannot be
//! remembered, but for which of its messages were taken in: that is stored with the actor's next
//! turn, or by the alarm if there is none. An object that forgets it delivers them again, and is told
//! that they are known.
//!
//! Each row written and each alarm set is billed. So an actor costs one row a turn, and both its wake
//! and the alarm are only ever moved to an earlier moment while work goes on: the alarm, once it has
//! rung, sets both to what is true by then.

use std::cell::{Cell, RefCell};
use std::marker::PhantomData;
use std::ops::Deref;
use std::rc::Rc;

use sam_domain::actor::inbox::Receipt;
use sam_domain::actor::{Actor, Address, Envelope, Machine, Outbox};
use sam_domain::collect::Map;
use sam_domain::error::ApiError;
use sam_domain::id::Id as _;
use sam_domain::time::{Millis, Timestamp, Turn};
use sam_platform::alarm::Alarm;
use sam_platform::background::Background;
use sam_platform::js::JsFailure;
use sam_platform::objects::Class;
use sam_platform::probe::Probe;
use sam_platform::sql::{Sql, SqlError};
use sam_platform::{clock, columns, entropy, params};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use worker::{Env, State};

/// How long an actor that could not be woken is left alone.
pub(crate) const BROKEN_PAUSE: Millis = Millis::minutes(1);

const SCHEMA: [&str; 2] = [
    // One row an actor: state, outbox, inbox and deadline as one value.
    "CREATE TABLE IF NOT EXISTS actors (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    // A moment at which an actor may have something to do, never later than it has; absent for
    // never. Apart from the values, so that finding the earliest reads little.
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

/// One object whose actors run the machine `M`: what has to know their state. The rest is its
/// [`Host`]'s, which is the same code for every machine.
pub(crate) struct Shell<M> {
    pub(crate) host: Rc<Host>,
    machine: PhantomData<fn() -> M>,
}

impl<M> Deref for Shell<M> {
    type Target = Host;

    fn deref(&self) -> &Host {
        &self.host
    }
}

/// The storage, alarm and mail of one object. It reads an actor without its machine's state.
pub(crate) struct Host {
    pub(crate) env: Env,
    pub(crate) sql: Sql,
    pub(crate) alarm: Alarm,
    pub(crate) background: Background,
    pub(crate) probe: Probe,
    /// Actors that have mail to deliver, as far as this instance knows; the alarm finds the rest.
    pub(crate) pending: RefCell<Map<String, ()>>,
    /// Messages that were taken in and are still stored as owed, by actor.
    taken_in: RefCell<Map<String, Vec<TakenIn>>>,
    pub(crate) draining: Cell<bool>,
    /// The actor that the alarm is waking: its stored wake is over.
    waking: RefCell<Option<String>>,
    /// The object's name: the id of what it owns.
    name: Option<String>,
}

/// An actor whose machine's state stays text.
pub(crate) type Unread = Actor<Box<RawValue>>;

/// A message that its receiver has.
pub(crate) struct TakenIn {
    pub(crate) to: Address,
    pub(crate) ordinal: u64,
    pub(crate) receipt: Receipt,
    pub(crate) at: Timestamp,
}

pub(crate) struct KeyRow {
    pub(crate) key: String,
}
columns!(KeyRow: key);

struct EarliestRow {
    at: Option<Timestamp>,
}
columns!(EarliestRow: at);

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

fn unreadable(key: &str, error: &serde_json::Error) -> ShellError {
    ShellError::Stored {
        key: key.to_owned(),
        cause: error.to_string(),
    }
}

/// One actor's turn when its moment has come.
pub(crate) type Wake = dyn Fn(&str) -> Result<(), ShellError>;

impl<M: Machine> Shell<M> {
    /// Opens the object's storage and makes its tables.
    pub(crate) fn open(state: &State, env: Env, class: Class) -> Result<Self, ShellError> {
        Ok(Self {
            host: Rc::new(Host::open(state, env, class)?),
            machine: PhantomData,
        })
    }

    /// One turn of an actor: loads it, lets `body` step it, stores it when `body` says that it
    /// changed, and sets the alarm. An error undoes everything that the turn wrote.
    pub(crate) fn turn<T>(
        &self,
        address: &Address,
        body: impl FnOnce(&mut Actor<M::State>, &mut Turn) -> Result<(bool, T), ShellError>,
    ) -> Result<T, ShellError> {
        let (changed, out) = self.sql.transaction(|| {
            let mut actor = self.load_or_new(address)?;
            let mut turn = self.begin()?;
            let (changed, out) = body(&mut actor, &mut turn)?;
            if changed {
                self.store(&actor)?;
            }
            Ok::<_, ShellError>((changed, out))
        })?;
        if changed {
            self.taken_in.borrow_mut().remove(&key_of(address));
            self.arm()?;
        }
        Ok(out)
    }

    /// The stored actor, if there is one, without the messages that were taken in since.
    pub(crate) fn load(&self, key: &str) -> Result<Option<Actor<M::State>>, ShellError> {
        self.host.load(key)
    }

    /// The stored actor, or one that nobody has spoken to.
    pub(crate) fn load_or_new(&self, address: &Address) -> Result<Actor<M::State>, ShellError> {
        Ok(self
            .load(&key_of(address))?
            .unwrap_or_else(|| Actor::new(address.clone())))
    }

    fn store(&self, actor: &Actor<M::State>) -> Result<(), ShellError> {
        self.host.store(actor)
    }
}

impl Host {
    /// Opens the object's storage and makes its tables.
    fn open(state: &State, env: Env, class: Class) -> Result<Self, ShellError> {
        let probe = Probe::of(state, class);
        let sql = Sql::of(state, probe.clone())?;
        for statement in SCHEMA {
            sql.run(statement, &[])?;
        }
        // What an earlier instance did not get to deliver goes out with the first event.
        let pending = sql.rows::<KeyRow>("SELECT key FROM wakes ORDER BY at LIMIT 100", &[])?;
        Ok(Self {
            env,
            sql,
            alarm: Alarm::of(state, probe.clone())?,
            background: Background::of_object(state),
            probe,
            pending: RefCell::new(pending.into_iter().map(|row| (row.key, ())).collect()),
            taken_in: RefCell::default(),
            draining: Cell::new(false),
            waking: RefCell::default(),
            name: state.as_raw().id().ok().and_then(|id| id.name()),
        })
    }

    /// Whether the runtime says that this is the object's name.
    pub(crate) fn is_named(&self, name: &str) -> bool {
        self.name.as_deref() == Some(name)
    }

    /// Whether an actor with this address lives in this object. The runtime may not know the
    /// object's name; then whoever reached it is believed.
    pub(crate) fn is_mine(&self, address: &Address) -> bool {
        let name = match address {
            Address::Session { project, .. } => project.as_str(),
            Address::Task(id) => id.as_str(),
            Address::Node(id) => id.as_str(),
            Address::Pool(id) => id.as_str(),
            Address::Index => return false,
        };
        self.name.as_deref().is_none_or(|mine| mine == name)
    }

    /// A turn that begins now.
    pub(crate) fn begin(&self) -> Result<Turn, ShellError> {
        Ok(Turn::new(clock::now(), entropy::seed()?))
    }

    /// A stored actor, if there is one, without the messages that were taken in since.
    fn load<S: DeserializeOwned>(&self, key: &str) -> Result<Option<Actor<S>>, ShellError> {
        let Some(value) = self.stored(key)? else {
            return Ok(None);
        };
        let mut actor: Actor<S> =
            sam_domain::json::from_str(&value).map_err(|error| unreadable(key, &error))?;
        self.settle_outbox(key, &mut actor.outbox);
        Ok(Some(actor))
    }

    /// The same for whoever has no use for its state.
    pub(crate) fn load_unread(&self, key: &str) -> Result<Option<Unread>, ShellError> {
        self.load(key)
    }

    fn stored(&self, key: &str) -> Result<Option<String>, ShellError> {
        let row = self
            .sql
            .record("SELECT value FROM actors WHERE key = ?", params![key])?;
        Ok(row.map(|row| row.text("value")).transpose()?.flatten())
    }

    /// Removes what was taken in since the actor was stored.
    fn settle_outbox(&self, key: &str, outbox: &mut Outbox) {
        for taken in self.taken_in.borrow().get(key).into_iter().flatten() {
            outbox.answered(taken.at, &taken.to, taken.ordinal, taken.receipt);
        }
    }

    /// Remembers that a message was taken in, until its actor is stored again.
    pub(crate) fn remember_taken_in(&self, key: &str, taken: TakenIn) {
        let mut taken_in = self.taken_in.borrow_mut();
        taken_in.entry(key.to_owned()).or_default().push(taken);
    }

    /// Stores an actor as it is now, with what was taken in.
    pub(crate) fn settle_actor(&self, actor: &Unread) -> Result<(), ShellError> {
        self.store(actor)?;
        self.taken_in.borrow_mut().remove(&key_of(&actor.address));
        Ok(())
    }

    /// The key of the one actor of an object that hosts a single one.
    pub(crate) fn only_key(&self) -> Result<Option<String>, ShellError> {
        let row: Option<KeyRow> = self.sql.first("SELECT key FROM actors LIMIT 1", &[])?;
        Ok(row.map(|row| row.key))
    }

    /// Stores an actor with the moment at which it has something to do.
    fn store<S: Serialize>(&self, actor: &Actor<S>) -> Result<(), ShellError> {
        let key = key_of(&actor.address);
        let value = serde_json::to_string(actor).map_err(|error| unreadable(&key, &error))?;
        self.put(key, value, actor.wake_at(), actor.outbox.is_empty())
    }

    fn put(
        &self,
        key: String,
        value: String,
        wake_at: Option<Timestamp>,
        owes_nothing: bool,
    ) -> Result<(), ShellError> {
        self.sql.run(
            "INSERT INTO actors (key, value) VALUES (?1, ?2) \
             ON CONFLICT (key) DO UPDATE SET value = excluded.value",
            params![&key, value],
        )?;
        if self.waking.borrow().as_ref() == Some(&key) {
            self.set_wake(&key, wake_at)?;
        } else if let Some(at) = wake_at {
            self.wake_no_later(&key, at)?;
        }
        if !owes_nothing {
            self.pending.borrow_mut().insert(key, ());
        }
        Ok(())
    }

    fn wake_no_later(&self, key: &str, at: Timestamp) -> Result<(), ShellError> {
        self.sql.run(
            "INSERT INTO wakes (key, at) VALUES (?1, ?2) \
             ON CONFLICT (key) DO UPDATE SET at = excluded.at WHERE excluded.at < wakes.at",
            params![key, at],
        )?;
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

    /// Sets the alarm to the earliest stored moment unless an earlier alarm is set already. One that
    /// turns out to be too early finds nothing to do and sets the next.
    pub(crate) fn arm(&self) -> Result<(), ShellError> {
        if let Some(at) = self.earliest()? {
            self.alarm.set_if_earlier(at)?;
        }
        Ok(())
    }

    /// Sets the alarm to the earliest stored moment, whatever was set before.
    fn arm_anew(&self) -> Result<(), ShellError> {
        Ok(match self.earliest()? {
            Some(at) => self.alarm.set(at),
            None => self.alarm.delete(),
        }?)
    }

    fn earliest(&self) -> Result<Option<Timestamp>, ShellError> {
        let row: Option<EarliestRow> = self.sql.first("SELECT MIN(at) AS at FROM wakes", &[])?;
        Ok(row.and_then(|row| row.at))
    }

    /// Actors whose moment has come, and those with mail that this instance knows of.
    pub(crate) fn woken(&self, now: Timestamp) -> Result<Vec<String>, ShellError> {
        let rows: Vec<KeyRow> = self.sql.rows(
            "SELECT key FROM wakes WHERE at <= ? ORDER BY at LIMIT 100",
            params![now],
        )?;
        Ok(rows.into_iter().map(|row| row.key).collect())
    }

    /// What an alarm does: wakes every actor whose moment has come, delivers what is due, and sets
    /// the next alarm. `wake` runs one actor's turn. Nothing here fails: what cannot be done is
    /// logged and comes again.
    pub(crate) async fn alarmed(self: Rc<Self>, wake: Box<Wake>) {
        let _ringing = self.alarm.fired();
        let now = clock::now();
        let woken = self.woken(now).unwrap_or_else(|error| {
            worker::console_error!("alarm: {error}");
            Vec::new()
        });
        for key in &woken {
            self.waking.replace(Some(key.clone()));
            if let Err(error) = wake(key) {
                worker::console_error!("alarm of {key}: {error}");
                self.set_aside(key, now);
            }
            self.pending.borrow_mut().insert(key.clone(), ());
        }
        self.waking.take();
        self.probe.point("alarm.woken").await;
        Rc::clone(&self).deliver_all().await;
        for key in &woken {
            if let Err(error) = self.set_true_wake(key) {
                worker::console_error!("alarm of {key}: {error}");
            }
        }
        if let Err(error) = self.arm_anew() {
            worker::console_error!("alarm: {error}");
            let _ = self.alarm.set(clock::now());
        }
    }

    /// Stores what an actor that was woken still holds in memory, and when it really has something to
    /// do.
    fn set_true_wake(&self, key: &str) -> Result<(), ShellError> {
        let Some(actor) = self.load_unread(key)? else {
            return self.set_wake(key, None);
        };
        if self.taken_in.borrow().contains_key(key) {
            self.settle_actor(&actor)?;
        }
        self.set_wake(key, actor.wake_at())
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
            .load_unread(key)?
            .map(|actor| actor.due(now, limit))
            .unwrap_or_default())
    }
}
