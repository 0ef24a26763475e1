//! Settings that administrators keep in the app, sealed. What the environment sets is not here.

use sam_domain::id::UserId;
use sam_domain::time::Timestamp;

use super::{D1, D1Error};
use crate::crypto::Sealed;
use crate::{columns, params};

/// A stored setting.
#[derive(Debug, Clone)]
pub struct StoredSetting {
    /// Its name.
    pub name: String,
    key_id: String,
    sealed: String,
    /// Who set it.
    pub updated_by: UserId,
    /// When.
    pub updated_at: Timestamp,
}
columns!(StoredSetting: name, key_id, sealed, updated_by, updated_at);

/// What a setting's value is sealed for.
#[must_use]
pub fn purpose(name: &str) -> String {
    format!("setting:{name}")
}

impl StoredSetting {
    /// Its value.
    #[must_use]
    pub fn sealed(&self) -> Sealed {
        Sealed {
            key_id: self.key_id.clone(),
            text: self.sealed.clone(),
        }
    }
}

/// The table of settings.
#[derive(Debug, Clone)]
pub struct Settings<'a>(pub &'a D1);

impl Settings<'_> {
    /// All of them.
    pub async fn list(&self) -> Result<Vec<StoredSetting>, D1Error> {
        self.0
            .all(
                "SELECT name, key_id, sealed, updated_by, updated_at FROM settings ORDER BY name",
                &[],
            )
            .await
    }

    /// Stores values in place of what was there, and forgets those that have none: all of it or
    /// nothing, so that of two changes at once one holds whole.
    pub async fn change(
        &self,
        changes: &[(&'static str, Option<Sealed>)],
        by: &UserId,
        now: Timestamp,
    ) -> Result<(), D1Error> {
        let statement = |(name, sealed): &(&'static str, Option<Sealed>)| match sealed {
            Some(sealed) => self.0.statement(
                "INSERT INTO settings (name, key_id, sealed, updated_by, updated_at) \
                 VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (name) DO UPDATE SET \
                 key_id = excluded.key_id, sealed = excluded.sealed, \
                 updated_by = excluded.updated_by, updated_at = excluded.updated_at",
                params![*name, sealed.key_id.as_str(), sealed.text.as_str(), by, now],
            ),
            None => self
                .0
                .statement("DELETE FROM settings WHERE name = ?1", params![*name]),
        };
        let all: Vec<_> = changes.iter().map(statement).collect::<Result<_, _>>()?;
        if !all.is_empty() {
            self.0.batch(all).await?;
        }
        Ok(())
    }

    /// Puts another sealed form in place of the one that was read; whether that was still there.
    pub async fn reseal(&self, held: &StoredSetting, sealed: &Sealed) -> Result<bool, D1Error> {
        let changed = self
            .0
            .run(
                "UPDATE settings SET key_id = ?2, sealed = ?3 WHERE name = ?1 AND sealed = ?4",
                params![
                    held.name.as_str(),
                    sealed.key_id.as_str(),
                    sealed.text.as_str(),
                    held.sealed.as_str()
                ],
            )
            .await?;
        Ok(changed > 0)
    }
}
