//! An object's one alarm.
//!
//! The stock `set_alarm` is an async fn that sets nothing until polled, and takes a bare integer as
//! an offset. Here the alarm is set synchronously, in the same turn as the rows it belongs to, so
//! that both commit or neither does. Each set counts as a row write, hence
//! [`Alarm::set_if_earlier`], which remembers what is stored.
//!
//! What its handler sets comes a second later at the earliest: an alarm that is set to the moment it
//! rings for is at times never rung (workerd 1.20260730).

use std::cell::Cell;

use sam_domain::time::{Millis, Timestamp};
use wasm_bindgen::prelude::*;

use crate::clock;
use crate::js::{self, JsFailure};
use crate::probe::Probe;

/// How long after it has rung an alarm rings again at the earliest.
const PAUSE: Millis = Millis::seconds(1);

#[wasm_bindgen]
extern "C" {
    type RawStorage;

    #[wasm_bindgen(structural, method, catch, js_name = setAlarm)]
    fn set_alarm(this: &RawStorage, scheduled: f64) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(structural, method, catch, js_name = getAlarm)]
    fn get_alarm(this: &RawStorage) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(structural, method, catch, js_name = deleteAlarm)]
    fn delete_alarm(this: &RawStorage) -> Result<JsValue, JsValue>;
}

/// What this isolate knows of the stored alarm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Known {
    Unread,
    None,
    At(Timestamp),
}

/// The alarm of one object. One value per object instance: it remembers the stored time.
#[derive(Debug)]
pub struct Alarm {
    storage: JsValue,
    known: Cell<Known>,
    /// Nothing is set to an earlier moment; begins with the handler and ends with it.
    floor: Cell<Timestamp>,
    probe: Probe,
}

/// The handler of an alarm is running.
#[derive(Debug)]
pub struct Ringing<'a>(&'a Alarm);

impl Drop for Ringing<'_> {
    fn drop(&mut self) {
        self.0.floor.set(Timestamp(0));
    }
}

impl Alarm {
    /// The alarm of the object with this state.
    pub fn of(state: &worker::State, probe: Probe) -> Result<Self, JsFailure> {
        Ok(Self {
            storage: state.as_raw().storage()?.into(),
            known: Cell::new(Known::Unread),
            floor: Cell::new(Timestamp(0)),
            probe,
        })
    }

    fn raw(&self) -> &RawStorage {
        self.storage.unchecked_ref()
    }

    /// The stored alarm. `None` also while its handler runs, unless it was set again meanwhile.
    pub async fn get(&self) -> Result<Option<Timestamp>, JsFailure> {
        let value = js::settle(self.raw().get_alarm()?).await?;
        let at = value.as_f64().map(|at| Timestamp(at as u64));
        self.known.set(at.map_or(Known::None, Known::At));
        Ok(at)
    }

    /// Sets the alarm to `at` unless an earlier one is stored. Synchronous: it commits with the
    /// statements of the same turn. Until [`Alarm::get`] or [`Alarm::fired`] has told what is stored,
    /// it is written in any case.
    pub fn set_if_earlier(&self, at: Timestamp) -> Result<(), JsFailure> {
        match self.known.get() {
            Known::At(stored) if stored <= at => Ok(()),
            _ => self.set(at),
        }
    }

    /// Sets the alarm, replacing whatever else is stored. Synchronous.
    pub fn set(&self, at: Timestamp) -> Result<(), JsFailure> {
        let at = at.max(self.floor.get());
        if self.known.get() == Known::At(at) {
            return Ok(());
        }
        // The promise only reports the commit, which the turn waits for in any case.
        self.raw().set_alarm(at.0 as f64)?;
        self.probe.set_alarm();
        self.known.set(Known::At(at));
        Ok(())
    }

    /// To be called first in the alarm handler, and held to its end: the stored alarm is spent.
    #[must_use]
    pub fn fired(&self) -> Ringing<'_> {
        self.known.set(Known::None);
        self.floor.set(clock::now().plus(PAUSE));
        Ringing(self)
    }

    /// Removes the stored alarm. Synchronous; costs nothing when none is known to be stored.
    pub fn delete(&self) -> Result<(), JsFailure> {
        if self.known.get() == Known::None {
            return Ok(());
        }
        self.raw().delete_alarm()?;
        self.probe.set_alarm();
        self.known.set(Known::None);
        Ok(())
    }
}
