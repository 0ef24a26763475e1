//! Who may do what in which project.
//!
//! A project always has an owner: the statements themselves leave the last one what they are.

use sam_domain::access::wire::{MemberView, ProjectRole};
use sam_domain::id::{ProjectId, UserId};
use sam_domain::time::Timestamp;

use super::{D1, D1Error};
use crate::{columns, params};

struct RoleRow {
    role: ProjectRole,
}
columns!(RoleRow: role);

struct MemberRow {
    user_id: UserId,
    name: String,
    role: ProjectRole,
    created_at: Timestamp,
}
columns!(MemberRow: user_id, name, role, created_at);

/// The word for a role in the database.
fn role_word(role: ProjectRole) -> &'static str {
    match role {
        ProjectRole::Viewer => "viewer",
        ProjectRole::Contributor => "contributor",
        ProjectRole::Maintainer => "maintainer",
        ProjectRole::Owner => "owner",
    }
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

    /// A project's members in the order they came; at most 500.
    pub async fn list(&self, project: &ProjectId) -> Result<Vec<MemberView>, D1Error> {
        let rows: Vec<MemberRow> = self
            .0
            .all(
                "SELECT m.user_id, u.name, m.role, m.created_at FROM project_members m \
                 JOIN users u ON u.id = m.user_id \
                 WHERE m.project_id = ?1 AND u.removed_at IS NULL \
                 ORDER BY m.created_at, m.user_id LIMIT 500",
                params![project],
            )
            .await?;
        Ok(rows.into_iter().map(view).collect())
    }

    /// Adds a person or changes their role. Returns the member as they are now; `None` when there is
    /// no such person. The last owner stays one.
    pub async fn put(
        &self,
        project: &ProjectId,
        user: &UserId,
        role: ProjectRole,
        now: Timestamp,
    ) -> Result<Option<MemberView>, D1Error> {
        self.0
            .run(
                "INSERT INTO project_members (project_id, user_id, role, created_at) \
                 SELECT ?1, id, ?3, ?4 FROM users WHERE id = ?2 AND removed_at IS NULL \
                 ON CONFLICT DO UPDATE SET role = excluded.role \
                 WHERE project_members.role <> 'owner' OR excluded.role = 'owner' \
                   OR EXISTS (SELECT 1 FROM project_members o WHERE o.project_id = ?1 \
                     AND o.user_id <> ?2 AND o.role = 'owner')",
                params![project, user, role_word(role), now],
            )
            .await?;
        let row: Option<MemberRow> = self
            .0
            .first(
                "SELECT m.user_id, u.name, m.role, m.created_at FROM project_members m \
                 JOIN users u ON u.id = m.user_id WHERE m.project_id = ?1 AND m.user_id = ?2",
                params![project, user],
            )
            .await?;
        Ok(row.map(view))
    }

    /// Removes a member. Returns whether they are gone: the last owner stays.
    pub async fn remove(&self, project: &ProjectId, user: &UserId) -> Result<bool, D1Error> {
        let changed = self
            .0
            .run(
                "DELETE FROM project_members WHERE project_id = ?1 AND user_id = ?2 \
                   AND (role <> 'owner' OR EXISTS (SELECT 1 FROM project_members o \
                     WHERE o.project_id = ?1 AND o.user_id <> ?2 AND o.role = 'owner'))",
                params![project, user],
            )
            .await?;
        Ok(changed > 0)
    }
}

fn view(row: MemberRow) -> MemberView {
    MemberView {
        user: row.user_id,
        name: row.name,
        role: row.role,
        created_at: row.created_at,
    }
}
