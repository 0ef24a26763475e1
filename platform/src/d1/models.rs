//! What administrators say of models.

use sam_domain::catalogue::changes::{ModelChange, Models, Role};
use sam_domain::collect::Map;
use sam_domain::id::UserId;
use sam_domain::time::Timestamp;
use serde_json::Value;

use super::{D1, D1Error, Statement};
use crate::{columns, params};

struct Change {
    change: String,
}
columns!(Change: change);

struct Default {
    role: Role,
    model_id: String,
}
columns!(Default: role, model_id);

/// The tables of changes and defaults.
#[derive(Debug, Clone)]
pub struct ModelChanges<'a>(pub &'a D1);

impl ModelChanges<'_> {
    /// The catalogue.
    pub async fn catalogue(&self) -> Result<Models, D1Error> {
        let changes: Vec<Change> = self
            .0
            .all("SELECT change FROM model_changes ORDER BY id", &[])
            .await?;
        let defaults: Vec<Default> = self
            .0
            .all("SELECT role, model_id FROM model_defaults", &[])
            .await?;
        Ok(Models::new(
            changes
                .iter()
                .filter_map(|row| sam_domain::json::from_str(&row.change).ok())
                .collect(),
            defaults
                .into_iter()
                .map(|row| (row.role, row.model_id))
                .collect(),
        ))
    }

    /// What is kept of one model.
    pub async fn change(&self, id: &str) -> Result<Option<ModelChange>, D1Error> {
        let row: Option<Change> = self
            .0
            .first(
                "SELECT change FROM model_changes WHERE id = ?1",
                params![id],
            )
            .await?;
        Ok(row.and_then(|row| sam_domain::json::from_str(&row.change).ok()))
    }

    /// Lays a change over what is kept of a model: what is null is forgotten.
    pub async fn patch(
        &self,
        id: &str,
        change: &Value,
        by: &UserId,
        now: Timestamp,
    ) -> Result<(), D1Error> {
        self.0
            .run(
                "INSERT INTO model_changes (id, change, updated_by, updated_at) \
                 VALUES (?1, json_patch('{}', ?2), ?3, ?4) ON CONFLICT (id) DO UPDATE SET \
                 change = json_patch(change, ?2), updated_by = excluded.updated_by, \
                 updated_at = excluded.updated_at",
                params![id, change.to_string(), by, now],
            )
            .await
            .map(|_| ())
    }

    /// Keeps the models that nothing was known of; those that are there stay as they are.
    pub async fn add(
        &self,
        changes: &[ModelChange],
        by: &UserId,
        now: Timestamp,
    ) -> Result<(), D1Error> {
        let statements: Vec<Statement> = changes
            .iter()
            .map(|change| {
                let text = serde_json::to_string(change).unwrap_or_default();
                self.0.statement(
                    "INSERT INTO model_changes (id, change, updated_by, updated_at) \
                     VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
                    params![change.id.as_str(), text, by, now],
                )
            })
            .collect::<Result<_, _>>()?;
        if statements.is_empty() {
            return Ok(());
        }
        self.0.batch(statements).await.map(|_| ())
    }

    /// Chooses defaults; an empty id takes a choice back.
    pub async fn choose(
        &self,
        defaults: &Map<Role, String>,
        by: &UserId,
        now: Timestamp,
    ) -> Result<(), D1Error> {
        let statements: Vec<Statement> = defaults
            .iter()
            .map(|(role, model)| {
                if model.is_empty() {
                    return self.0.statement(
                        "DELETE FROM model_defaults WHERE role = ?1",
                        params![role.name()],
                    );
                }
                self.0.statement(
                    "INSERT INTO model_defaults (role, model_id, updated_by, updated_at) \
                     VALUES (?1, ?2, ?3, ?4) ON CONFLICT (role) DO UPDATE SET \
                     model_id = excluded.model_id, updated_by = excluded.updated_by, \
                     updated_at = excluded.updated_at",
                    params![role.name(), model.as_str(), by, now],
                )
            })
            .collect::<Result<_, _>>()?;
        if statements.is_empty() {
            return Ok(());
        }
        self.0.batch(statements).await.map(|_| ())
    }
}
