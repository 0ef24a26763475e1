//! An object whose whole memory is one value that is forgotten in time.
//!
//! Device flows and counters of tries have no mail and no actors. Whoever names one that nobody
//! wrote to (codes are guessed, addresses are many) must cost no storage: the table is made with the
//! first value, and when its time has come everything is deleted.

use std::marker::PhantomData;

use sam_domain::time::Timestamp;
use sam_platform::alarm::Alarm;
use sam_platform::clock;
use sam_platform::objects::Class;
use sam_platform::probe::Probe;
use sam_platform::sql::Sql;
use sam_platform::{columns, params};
use serde::Serialize;
use serde::de::DeserializeOwned;
use worker::State;

use crate::shell::ShellError;

/// The one value of an object.
pub(crate) struct Record<T> {
    sql: Sql,
    alarm: Alarm,
    pub(crate) probe: Probe,
    value: PhantomData<fn() -> T>,
}

struct Row {
    value: String,
    forget_at: Timestamp,
}
columns!(Row: value, forget_at);

impl<T: Serialize + DeserializeOwned> Record<T> {
    /// Opens the object's storage and writes nothing.
    pub(crate) fn open(state: &State, class: Class) -> Result<Self, ShellError> {
        let probe = Probe::of(state, class);
        Ok(Self {
            sql: Sql::of(state, probe.clone())?,
            alarm: Alarm::of(state, probe.clone())?,
            probe,
            value: PhantomData,
        })
    }

    fn row(&self) -> Result<Option<Row>, ShellError> {
        let has_table = self.sql.any(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name = 'record'",
            &[],
        )?;
        if !has_table {
            return Ok(None);
        }
        Ok(self
            .sql
            .first("SELECT value, forget_at FROM record WHERE id = 1", &[])?)
    }

    /// The value, if there is one.
    pub(crate) fn load(&self) -> Result<Option<T>, ShellError> {
        self.row()?
            .map(|row| {
                sam_domain::json::from_str(&row.value).map_err(|error| ShellError::Stored {
                    key: "record".to_owned(),
                    cause: error.to_string(),
                })
            })
            .transpose()
    }

    /// Stores the value until `forget_at`.
    pub(crate) fn store(&self, value: &T, forget_at: Timestamp) -> Result<(), ShellError> {
        let text = serde_json::to_string(value).map_err(|error| ShellError::Stored {
            key: "record".to_owned(),
            cause: error.to_string(),
        })?;
        self.sql.run(
            "CREATE TABLE IF NOT EXISTS record \
             (id INTEGER PRIMARY KEY CHECK (id = 1), value TEXT NOT NULL, forget_at INTEGER NOT NULL)",
            &[],
        )?;
        self.sql.run(
            "INSERT INTO record (id, value, forget_at) VALUES (1, ?1, ?2) \
             ON CONFLICT (id) DO UPDATE SET value = excluded.value, forget_at = excluded.forget_at",
            params![text, forget_at],
        )?;
        self.alarm.set_if_earlier(forget_at)?;
        Ok(())
    }

    /// What an alarm does: forgets the value if its time has come, else comes again when it has.
    /// Nothing here fails: what cannot be done is logged and comes again.
    pub(crate) fn alarmed(&self) {
        let _ringing = self.alarm.fired();
        let now = clock::now();
        let done = match self.row() {
            Ok(Some(row)) if row.forget_at > now => self
                .alarm
                .set_if_earlier(row.forget_at)
                .map_err(ShellError::from),
            Ok(_) => self.sql.delete_all().map_err(ShellError::from),
            Err(error) => Err(error),
        };
        if let Err(error) = done {
            worker::console_error!("alarm: {error}");
            let _ = self.alarm.set(now.plus(crate::shell::BROKEN_PAUSE));
        }
    }
}
