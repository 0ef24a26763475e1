//! Who changed access to what. Rows are only ever added.

use sam_domain::access::wire::AuditEntry;
use sam_domain::id::{ProjectId, UserId};
use sam_domain::time::Timestamp;

use super::{D1, D1Error};
use crate::{columns, params};

/// One change, about to be written down.
#[derive(Debug, Clone)]
pub struct Change<'a> {
    /// When.
    pub at: Timestamp,
    /// Who did it.
    pub actor: &'a UserId,
    /// What, as a stable word.
    pub action: &'static str,
    /// To whom or what: an id.
    pub subject: &'a str,
    /// In which project, if in one.
    pub project: Option<&'a ProjectId>,
    /// The new value; never a secret.
    pub detail: Option<&'a str>,
}

struct Row {
    n: u64,
    at: Timestamp,
    actor_id: UserId,
    action: String,
    subject: String,
    project_id: Option<ProjectId>,
    detail: Option<String>,
}
columns!(Row: n, at, actor_id, action, subject, project_id, detail);

/// The table of changes.
#[derive(Debug, Clone)]
pub struct AuditLog<'a>(pub &'a D1);

impl AuditLog<'_> {
    /// Writes a change down.
    pub async fn insert(&self, change: &Change<'_>) -> Result<(), D1Error> {
        self.0
            .run(
                "INSERT INTO audit_log (at, actor_id, action, subject, project_id, detail) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                params![
                    change.at,
                    change.actor,
                    change.action,
                    change.subject,
                    change.project.map(ToString::to_string),
                    change.detail.map(ToOwned::to_owned),
                ],
            )
            .await
            .map(|_| ())
    }

    /// The newest changes, before this number where one is given; at most `limit`.
    pub async fn list(&self, before: Option<u64>, limit: u32) -> Result<Vec<AuditEntry>, D1Error> {
        let rows: Vec<Row> = self
            .0
            .all(
                "SELECT n, at, actor_id, action, subject, project_id, detail FROM audit_log \
                 WHERE ?1 IS NULL OR n < ?1 ORDER BY n DESC LIMIT ?2",
                params![before, limit],
            )
            .await?;
        Ok(rows.into_iter().map(entry).collect())
    }
}

fn entry(row: Row) -> AuditEntry {
    AuditEntry {
        n: row.n,
        at: row.at,
        actor: row.actor_id,
        action: row.action,
        subject: row.subject,
        project: row.project_id,
        detail: row.detail,
    }
}
