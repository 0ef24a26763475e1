//! The faults and counters of a Worker that was built with them.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{Client, Result};

/// The classes of objects that work costs something in, as the Worker exports them.
pub const CLASSES: [&str; 5] = [
    "ProjectData",
    "TaskRunner",
    "NodeLifecycle",
    "NodePool",
    "Budget",
];
/// Those of them that are actors, with mail.
pub const ACTORS: [&str; 4] = ["ProjectData", "TaskRunner", "NodeLifecycle", "NodePool"];
/// Stands for the next object of a class that is made.
pub const NEXT: &str = "next";

/// What an object was billed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Counts {
    /// Requests into it.
    pub requests: u64,
    /// Runs of its alarm.
    pub alarms: u64,
    /// Frames on its sockets and their ends.
    pub frames: u64,
    /// Rows written, index rows included.
    pub rows_written: u64,
    /// How often its alarm was set or removed.
    pub alarms_set: u64,
}

/// What is billed outside objects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Others {
    /// Requests to the Worker.
    pub worker_requests: u64,
    /// Rows written to D1, index rows included.
    pub database_rows_written: u64,
}

/// What everything was billed since the Worker began, by class and name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Counters {
    /// Objects.
    pub objects: BTreeMap<String, BTreeMap<String, Counts>>,
    /// The rest.
    pub others: Others,
}

/// The points an object passed, in order.
#[derive(Clone, Debug, Deserialize)]
pub struct Passed {
    /// Their names.
    pub passed: Vec<String>,
}

/// An eviction that was asked for.
#[derive(Clone, Debug, Deserialize)]
pub struct Armed {
    /// The class.
    pub class: String,
    /// Which object.
    pub name: String,
    /// Where it was done.
    pub done_at: Option<String>,
}

/// What an object has stored.
#[derive(Clone, Debug, Deserialize)]
pub struct Stored {
    /// When its alarm is set to.
    pub alarm: Option<u64>,
    /// When which actor has something to do.
    pub wakes: Vec<Value>,
    /// Its actors, in order of their keys.
    pub actors: Vec<Value>,
}

/// The faults of one stack.
#[derive(Clone, Debug)]
pub struct Faults(Client);

impl Faults {
    /// Of the stack that this client speaks to.
    #[must_use]
    pub fn of(client: &Client) -> Self {
        Self(client.clone())
    }

    async fn get<T: serde::de::DeserializeOwned>(&self, path: &str) -> Result<T> {
        self.0.get(&format!("/__fault/{path}")).await?.json()
    }

    /// Has an object evicted at its `nth` pass of any point from now on.
    ///
    /// # Errors
    /// When the Worker has no faults.
    pub async fn evict(&self, class: &str, name: &str, nth: usize) -> Result {
        let path = format!("/__fault/evict/{class}/{name}");
        let request = self.0.request(Method::POST, &path);
        let _: Value = self
            .0
            .send(request.json(&json!({"nth": nth})))
            .await?
            .json()?;
        Ok(())
    }

    /// The evictions that were asked for.
    ///
    /// # Errors
    /// When the Worker has no faults.
    pub async fn armed(&self) -> Result<Vec<Armed>> {
        self.get("evict").await
    }

    /// The points an object passed.
    ///
    /// # Errors
    /// When it was never made.
    pub async fn passed(&self, class: &str, name: &str) -> Result<Vec<String>> {
        let passed: Passed = self.get(&format!("passed/{class}/{name}")).await?;
        Ok(passed.passed)
    }

    /// What an object has stored.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn look(&self, class: &str, name: &str) -> Result<Stored> {
        self.get(&format!("look/{class}/{name}")).await
    }

    /// What everything was billed so far.
    ///
    /// # Errors
    /// When the Worker has no faults.
    pub async fn counters(&self) -> Result<Counters> {
        self.get("counters").await
    }
}

impl Stored {
    /// What an object has to do within this time, if anything; by its own account.
    #[must_use]
    pub fn due_within(&self, time: Duration) -> Option<String> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let end = now.unwrap_or_default().saturating_add(time).as_millis();
        if self.alarm.is_some_and(|alarm| u128::from(alarm) <= end) {
            return Some("its alarm rings soon".to_owned());
        }
        let lanes = |actor: &Value| actor.pointer("/outbox/lanes").cloned();
        let owes = |lanes: &Value| lanes.as_array().is_none_or(|lanes| !lanes.is_empty());
        let owed = self.actors.iter().filter_map(lanes).find(owes)?;
        Some(format!("mail is left: {owed:#}"))
    }
}

impl Counters {
    /// What was billed since `before`, over all objects of a class.
    #[must_use]
    pub fn of_class(&self, class: &str, before: &Self) -> Counts {
        let sum = |counters: &Self| {
            let objects = counters.objects.get(class).into_iter();
            objects
                .flat_map(BTreeMap::values)
                .fold(Counts::default(), |sum, one| Counts {
                    requests: sum.requests + one.requests,
                    alarms: sum.alarms + one.alarms,
                    frames: sum.frames + one.frames,
                    rows_written: sum.rows_written + one.rows_written,
                    alarms_set: sum.alarms_set + one.alarms_set,
                })
        };
        let (now, then) = (sum(self), sum(before));
        Counts {
            requests: now.requests - then.requests,
            alarms: now.alarms - then.alarms,
            frames: now.frames - then.frames,
            rows_written: now.rows_written - then.rows_written,
            alarms_set: now.alarms_set - then.alarms_set,
        }
    }
}
