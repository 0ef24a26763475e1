//! Projects: a repository and how work on it is begun.

use sam_domain::access::wire::ProjectRole;
use sam_domain::id::{ProjectId, UserId};
use sam_domain::time::Timestamp;

use super::{D1, D1Error};
use crate::{columns, params};

/// One project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Project {
    /// Its id.
    pub id: ProjectId,
    /// The name shown in lists.
    pub name: String,
    /// Who made it.
    pub owner_id: UserId,
    /// A git URL, or a path on the owner's machine.
    pub repository: String,
    /// The agent to use when a task names none.
    pub default_agent: String,
    /// When it was made.
    pub created_at: Timestamp,
}
columns!(Project: id, name, owner_id, repository, default_agent, created_at);

/// A project with a member's role in it.
struct Joined {
    project: Project,
    role: ProjectRole,
}
columns!(Joined: role, ..project);

/// The table of projects.
#[derive(Debug, Clone)]
pub struct Projects<'a>(pub &'a D1);

impl Projects<'_> {
    /// Stores a new project with its owner as the first member, in one transaction.
    pub async fn insert(&self, project: &Project) -> Result<(), D1Error> {
        let row = self.0.statement(
            "INSERT INTO projects \
               (id, name, owner_id, repository, default_agent, created_at) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![
                &project.id,
                &project.name,
                &project.owner_id,
                &project.repository,
                &project.default_agent,
                project.created_at,
            ],
        )?;
        let member = self.0.statement(
            "INSERT INTO project_members (project_id, user_id, role, created_at) \
             VALUES (?1, ?2, 'owner', ?3)",
            params![&project.id, &project.owner_id, project.created_at],
        )?;
        self.0.batch(vec![row, member]).await.map(|_| ())
    }

    /// A project by id, whoever asks. Access is the members' table's business.
    pub async fn get(&self, id: &ProjectId) -> Result<Option<Project>, D1Error> {
        self.0
            .first(
                "SELECT id, name, owner_id, repository, default_agent, created_at \
                 FROM projects WHERE id = ?1 AND archived_at IS NULL",
                params![id],
            )
            .await
    }

    /// The projects a person is a member of with their role, newest first; at most 500.
    pub async fn of_member(&self, user: &UserId) -> Result<Vec<(Project, ProjectRole)>, D1Error> {
        let rows: Vec<Joined> = self
            .0
            .all(
                "SELECT p.id, p.name, p.owner_id, p.repository, p.default_agent, \
                   p.created_at, m.role \
                 FROM project_members m JOIN projects p ON p.id = m.project_id \
                 WHERE m.user_id = ?1 AND p.archived_at IS NULL \
                 ORDER BY p.created_at DESC, p.id DESC LIMIT 500",
                params![user],
            )
            .await?;
        Ok(rows
            .into_iter()
            .map(|row| (row.project, row.role))
            .collect())
    }
}
