//! People.
//!
//! A person who was removed keeps their row, as the author of what they wrote, and is found by no
//! query here but their name. Somebody always runs the installation: the last administrator who can
//! act keeps that role, which the statements themselves decide.

use sam_domain::access::wire::{PersonView, Role, UserView};
use sam_domain::id::UserId;
use sam_domain::time::Timestamp;
use serde::Serialize;

use super::{D1, D1Error};
use crate::{columns, params};

/// The word for a role in the database.
pub(super) fn role_word(role: Role) -> &'static str {
    match role {
        Role::Admin => "admin",
        Role::Member => "member",
    }
}

/// One person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct User {
    /// Their id.
    pub id: UserId,
    /// The name shown to others.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// When they came.
    pub created_at: Timestamp,
    /// Since when they may not use the installation.
    pub suspended_at: Option<Timestamp>,
    /// Since when they wait to be let in for the first time.
    pub waits_since: Option<Timestamp>,
}
columns!(User: id, name, role, created_at, suspended_at, waits_since);

impl User {
    /// The person as others see them.
    pub fn view(&self) -> UserView {
        UserView {
            id: self.id.clone(),
            name: self.name.clone(),
            role: self.role,
        }
    }

    /// The person as administrators see them.
    pub fn person(self) -> PersonView {
        PersonView {
            id: self.id,
            name: self.name,
            role: self.role,
            created_at: self.created_at,
            suspended_at: self.suspended_at,
            waits_since: self.waits_since,
        }
    }
}

/// The table of people.
#[derive(Debug, Clone)]
pub struct Users<'a>(pub &'a D1);

impl Users<'_> {
    /// A person by id.
    pub async fn get(&self, id: &UserId) -> Result<Option<User>, D1Error> {
        self.0
            .first(
                "SELECT id, name, role, created_at, suspended_at, waits_since FROM users \
                 WHERE id = ?1 AND removed_at IS NULL",
                params![id],
            )
            .await
    }

    /// Everybody, in the order they came; at most 1,000.
    pub async fn list(&self) -> Result<Vec<User>, D1Error> {
        self.0
            .all(
                "SELECT id, name, role, created_at, suspended_at, waits_since FROM users \
                 WHERE removed_at IS NULL ORDER BY created_at, id LIMIT 1000",
                &[],
            )
            .await
    }

    /// Changes a person's role at `now`. Returns false when they are the last administrator who can act.
    pub async fn set_role(&self, id: &UserId, role: Role, now: Timestamp) -> Result<bool, D1Error> {
        let changed = self
            .0
            .run(
                "UPDATE users SET role_changed_at = CASE role WHEN ?2 THEN role_changed_at ELSE ?3 END, \
                   role = ?2 WHERE id = ?1 AND (role <> 'admin' OR ?2 = 'admin' \
                   OR EXISTS (SELECT 1 FROM users o WHERE o.id <> ?1 AND o.role = 'admin' \
                     AND o.suspended_at IS NULL AND o.removed_at IS NULL))",
                params![id, role_word(role), now],
            )
            .await?;
        Ok(changed > 0)
    }

    /// Shuts a person out since `at`, or lets them back in. Returns false when they are the last
    /// administrator who can act.
    pub async fn set_suspended(&self, id: &UserId, at: Option<Timestamp>) -> Result<bool, D1Error> {
        let changed = self
            .0
            .run(
                "UPDATE users SET suspended_at = ?2, \
                   waits_since = CASE WHEN ?2 IS NULL THEN NULL ELSE waits_since END WHERE id = ?1 AND (role <> 'admin' \
                   OR ?2 IS NULL OR EXISTS (SELECT 1 FROM users o WHERE o.id <> ?1 \
                     AND o.role = 'admin' AND o.suspended_at IS NULL AND o.removed_at IS NULL))",
                params![id, at],
            )
            .await?;
        Ok(changed > 0)
    }

    /// Removes a person for good, with their keys and logins. Projects that only they owned pass to
    /// `heir`. Returns false when
    /// they are the last administrator who can act.
    pub async fn remove(
        &self,
        id: &UserId,
        heir: &UserId,
        now: Timestamp,
    ) -> Result<bool, D1Error> {
        let remove = self.0.statement(
            "UPDATE users SET removed_at = ?2 WHERE id = ?1 AND removed_at IS NULL \
               AND (role <> 'admin' OR EXISTS (SELECT 1 FROM users o WHERE o.id <> ?1 \
                 AND o.role = 'admin' AND o.suspended_at IS NULL AND o.removed_at IS NULL))",
            params![id, now],
        )?;
        let inherit = self.0.statement(
            "INSERT INTO project_members (project_id, user_id, role, created_at) \
             SELECT m.project_id, ?2, 'owner', ?3 FROM project_members m \
             JOIN users u ON u.id = m.user_id \
             WHERE m.user_id = ?1 AND m.role = 'owner' AND u.removed_at = ?3 \
               AND NOT EXISTS (SELECT 1 FROM project_members o JOIN users p ON p.id = o.user_id \
                 WHERE o.project_id = m.project_id AND o.role = 'owner' AND p.removed_at IS NULL) \
             ON CONFLICT DO UPDATE SET role = 'owner'",
            params![id, heir, now],
        )?;
        let leave = self.0.statement(
            "DELETE FROM project_members WHERE user_id = ?1 \
               AND EXISTS (SELECT 1 FROM users u WHERE u.id = ?1 AND u.removed_at IS NOT NULL)",
            params![id],
        )?;
        let keys = self.0.statement(
            "DELETE FROM credentials WHERE scope = 'user' AND owner_id = ?1 \
               AND EXISTS (SELECT 1 FROM users u WHERE u.id = ?1 AND u.removed_at IS NOT NULL)",
            params![id],
        )?;
        let logins = self.0.statement(
            "DELETE FROM agent_logins WHERE user_id = ?1 \
               AND EXISTS (SELECT 1 FROM users u WHERE u.id = ?1 AND u.removed_at IS NOT NULL)",
            params![id],
        )?;
        let all = vec![remove, inherit, leave, keys, logins];
        let changed = self.0.batch(all).await?;
        Ok(changed.first().is_some_and(|count| *count > 0))
    }
}
