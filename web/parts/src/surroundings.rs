//! What every view of a module has around it: the moment, and where it says things.

use crate::api::Trouble;
use crate::browser;
use leptos::prelude::*;
use sam_domain::time::Timestamp;
use std::time::Duration;

/// Known to every view of a module; cheap to copy.
#[derive(Clone, Copy)]
pub struct Surroundings {
    /// The moment, moved every second while the page is seen.
    pub now: RwSignal<Timestamp>,
    /// What a screen reader is told.
    pub said: RwSignal<String>,
    /// What failed in answer to a person's action.
    pub trouble: RwSignal<Option<Trouble>>,
}

impl Surroundings {
    /// As they are at the start.
    #[must_use]
    pub fn new() -> Self {
        Self {
            now: RwSignal::new(browser::now()),
            said: RwSignal::new(String::new()),
            trouble: RwSignal::new(None),
        }
    }

    /// Makes them known to every view below, and moves their clock while they are there.
    pub fn provide(self) {
        provide_context(self);
        let tick = set_interval_with_handle(
            move || {
                if browser::visible() {
                    self.now.set(browser::now());
                }
            },
            Duration::from_secs(1),
        );
        on_cleanup(move || {
            if let Ok(tick) = tick {
                tick.clear();
            }
        });
    }

    /// Shows why an action failed; who is not signed in any more is told so elsewhere.
    pub fn failed(self, trouble: Trouble) {
        if trouble.status() != 401 {
            self.trouble.set(Some(trouble));
        }
    }
}

impl Default for Surroundings {
    fn default() -> Self {
        Self::new()
    }
}

/// Those of the view that asks.
#[must_use]
pub fn surroundings() -> Surroundings {
    expect_context::<Surroundings>()
}
