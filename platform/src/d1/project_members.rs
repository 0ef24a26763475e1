//! Who may do what in which project.

use sam_domain::access::wire::ProjectRole;
use sam_domain::id::{ProjectId, UserId};
use serde::Deserialize;

use super::{D1, D1Error};
use crate::params;

#[derive(Deserialize)]
struct RoleRow {
    role: ProjectRole,
}

/// The table of members.
#[derive(Debug, Clone)]
pub struct ProjectMembers<'a>(pub &'a D1);

impl ProjectMembers<'_> {
    /// A person's role in a project; `None` when they are not a member or it is archived, which
    /// reads to them as if it did not exist.
    pub async fn role(
        &self,
        project: &ProjectId,
        user: &UserId,
    ) -> Result<Option<ProjectRole>, D1Error> {
        let row: Option<RoleRow> = self
            .0
            .first(
                "SELECT m.role FROM project_members m JOIN projects p ON p.id = m.project_id \
                 WHERE m.project_id = ?1 AND m.user_id = ?2 AND p.archived_at IS NULL",
                params![project, user],
            )
            .await?;
        Ok(row.map(|row| row.role))
    }
}
