//! Settings that can be kept in the app: those of signing in with GitHub.
//!
//! What the environment sets wins, whatever is stored; so an operator can always take a setting back
//! into their own hands. Stored values are sealed as keys are and never read out: what people see is
//! that one is set, by whom and when.

use sam_domain::access::setup::{ConfigView, SettingView, Source};
use sam_domain::settings::KEPT;
use sam_platform::bindings;
use sam_platform::crypto::Secret;
use sam_platform::d1::settings::{self, Settings, StoredSetting};

use crate::call::Call;
use crate::errors::Failed;
use crate::proxy::access::keyring;

/// What is stored, still sealed.
pub(crate) struct Config<'a> {
    call: &'a Call,
    stored: Vec<StoredSetting>,
}

impl<'a> Config<'a> {
    /// Reads what is stored, unless the environment sets everything.
    pub(crate) async fn of(call: &'a Call) -> Result<Self, Failed> {
        let asked = KEPT.iter().any(|name| by_environment(call, name).is_none());
        let stored = match asked {
            true => Settings(&call.database()?).list().await?,
            false => Vec::new(),
        };
        Ok(Self { call, stored })
    }

    /// The value that counts. One that does not open any more counts as none.
    pub(crate) fn value(&self, name: &'static str) -> Option<Secret> {
        by_environment(self.call, name).or_else(|| {
            let held = self.stored.iter().find(|held| held.name == name)?;
            let keys = keyring(self.call).ok()?;
            keys.open(&settings::purpose(name), &held.sealed()).ok()
        })
    }

    /// Where each value comes from.
    pub(crate) fn view(&self) -> ConfigView {
        let setting = |name: &&'static str| {
            let held = self.stored.iter().find(|held| held.name == *name);
            let environment = by_environment(self.call, name).is_some();
            let held = held.filter(|_| !environment);
            SettingView {
                name: (*name).to_owned(),
                source: match (environment, held) {
                    (true, _) => Source::Environment,
                    (false, Some(_)) => Source::Stored,
                    (false, None) => Source::Unset,
                },
                updated_by: held.map(|held| held.updated_by.clone()),
                updated_at: held.map(|held| held.updated_at),
            }
        };
        ConfigView {
            settings: KEPT.iter().map(setting).collect(),
        }
    }
}

/// What the environment sets.
pub(crate) fn by_environment(call: &Call, name: &'static str) -> Option<Secret> {
    bindings::secret(&call.env, name)
}
