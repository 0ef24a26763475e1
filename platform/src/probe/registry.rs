//! What was passed and counted, and what is to be evicted, of every object of this isolate.
//!
//! The local runtime keeps the Worker and all its objects in one isolate, so a request to the
//! Worker reads here what the objects wrote. It lives as long as the instance.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use serde::{Deserialize, Serialize};
use wasm_bindgen::JsValue;

use super::{Event, eviction};
use crate::objects::Class;

/// A name that stands for the next object of its class that is made.
pub const NEXT: &str = "next";

/// What is billed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Requests into the object: calls, messages, sockets.
    pub requests: u64,
    /// Runs of its alarm; each is billed as a request.
    pub alarms: u64,
    /// Frames on its sockets and their ends; 20 are billed as a request.
    pub frames: u64,
    /// Rows written to its storage, index rows included.
    pub rows_written: u64,
    /// How often its alarm was set or removed; each is billed as a row.
    pub alarms_set: u64,
}

impl Counts {
    pub(super) fn began(&mut self, event: Event) {
        match event {
            Event::Request => self.requests += 1,
            Event::Alarm => self.alarms += 1,
            Event::Frame | Event::Closed => self.frames += 1,
        }
    }
}

/// What is billed outside objects.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Others {
    /// Requests to the Worker.
    pub worker_requests: u64,
    /// Rows written to D1, index rows included.
    pub database_rows_written: u64,
}

/// Where an object is to be evicted.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Wanted {
    /// The name of the point; any when absent.
    #[serde(default)]
    pub point: Option<String>,
    /// At which pass from now on, from 1.
    #[serde(default = "first")]
    pub nth: u64,
}

fn first() -> u64 {
    1
}

/// An eviction that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Armed {
    /// The class.
    pub class: &'static str,
    /// Which object; [`NEXT`] until one is made.
    pub name: String,
    /// The point that is waited for; any when absent.
    pub point: Option<String>,
    /// Passes that are left.
    pub left: u64,
    /// The point at which it was done.
    pub done_at: Option<&'static str>,
}

/// What is known of one object.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Record {
    /// What is billed.
    pub counts: Counts,
    /// The points it passed, in order.
    pub passed: Vec<&'static str>,
}

#[derive(Default)]
struct Registry {
    objects: BTreeMap<(&'static str, String), Record>,
    armed: Vec<Armed>,
    others: Others,
}

thread_local! {
    static REGISTRY: RefCell<Registry> = RefCell::default();
}

fn with<T>(work: impl FnOnce(&mut Registry) -> T) -> T {
    REGISTRY.with_borrow_mut(work)
}

/// One object under watch.
#[derive(Debug)]
pub struct Watched {
    class: &'static str,
    name: String,
    context: JsValue,
}

/// Begins to watch an object that has just been made.
pub(super) fn watch(state: &worker::State, class: Class) -> Rc<Watched> {
    let name = state.as_raw().id().ok().and_then(|id| id.name());
    let watched = Watched {
        class: class.name(),
        name: name.unwrap_or_default(),
        context: AsRef::<JsValue>::as_ref(state.as_raw()).clone(),
    };
    with(|registry| {
        let key = (watched.class, watched.name.clone());
        if !registry.objects.contains_key(&key) {
            let waiting = |armed: &&mut Armed| armed.class == watched.class && armed.name == NEXT;
            if let Some(armed) = registry.armed.iter_mut().find(waiting) {
                armed.name.clone_from(&watched.name);
            }
            registry.objects.insert(key, Record::default());
        }
    });
    Rc::new(watched)
}

impl Watched {
    /// Writes the point down and says whether the object is to be evicted at it.
    pub(super) fn passes(&self, point: &'static str) -> bool {
        with(|registry| {
            self.record(registry).passed.push(point);
            let mine = |armed: &&mut Armed| {
                armed.class == self.class
                    && armed.name == self.name
                    && armed.done_at.is_none()
                    && armed.point.as_deref().is_none_or(|wanted| wanted == point)
            };
            let mut evicted = false;
            for armed in registry.armed.iter_mut().filter(mine) {
                armed.left = armed.left.saturating_sub(1);
                if armed.left == 0 {
                    armed.done_at = Some(point);
                    evicted = true;
                }
            }
            evicted
        })
    }

    /// Evicts the object.
    pub(super) async fn evict(&self, point: &'static str) {
        let reason = format!("{} {} is evicted at {point}", self.class, self.name);
        if let Err(error) = eviction::evict(&self.context, &reason).await {
            worker::console_error!("{reason}: {error}");
        }
    }

    /// Counts something.
    pub(super) fn count(&self, change: impl FnOnce(&mut Counts)) {
        with(|registry| change(&mut self.record(registry).counts));
    }

    fn record<'a>(&self, registry: &'a mut Registry) -> &'a mut Record {
        registry
            .objects
            .entry((self.class, self.name.clone()))
            .or_default()
    }
}

/// Has an object evicted: the one of this name, or the next that is made.
pub fn arm(class: Class, name: &str, wanted: Wanted) {
    with(|registry| {
        registry.armed.push(Armed {
            class: class.name(),
            name: name.to_owned(),
            point: wanted.point,
            left: wanted.nth,
            done_at: None,
        });
    });
}

/// Every eviction that was asked for, in order.
pub fn armed() -> Vec<Armed> {
    with(|registry| registry.armed.clone())
}

/// What is known of an object.
pub fn record(class: Class, name: &str) -> Option<Record> {
    with(|registry| {
        registry
            .objects
            .get(&(class.name(), name.to_owned()))
            .cloned()
    })
}

/// What each object was billed, by class and name, and what lies outside objects.
pub fn counts() -> (BTreeMap<&'static str, BTreeMap<String, Counts>>, Others) {
    with(|registry| {
        let mut by_class: BTreeMap<_, BTreeMap<_, _>> = BTreeMap::new();
        for ((class, name), record) in &registry.objects {
            by_class
                .entry(*class)
                .or_default()
                .insert(name.clone(), record.counts);
        }
        (by_class, registry.others)
    })
}

/// Counts a request to the Worker.
pub fn worker_request() {
    with(|registry| registry.others.worker_requests += 1);
}

/// Counts rows written to D1.
pub(crate) fn database_wrote(rows: u64) {
    with(|registry| registry.others.database_rows_written += rows);
}
