//! People.

use sam_domain::access::wire::{Role, UserView};
use sam_domain::id::UserId;
use sam_domain::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::{D1, D1Error};
use crate::params;

/// The word for a role in the database.
pub(super) fn role_word(role: Role) -> &'static str {
    match role {
        Role::Admin => "admin",
        Role::Member => "member",
    }
}

/// One person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// Their id.
    pub id: UserId,
    /// The name shown to others.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// When they came.
    pub created_at: Timestamp,
}

impl User {
    /// The person as others see them.
    pub fn view(&self) -> UserView {
        UserView {
            id: self.id.clone(),
            name: self.name.clone(),
            role: self.role,
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
                "SELECT id, name, role, created_at FROM users WHERE id = ?1",
                params![id],
            )
            .await
    }

    /// Everybody, in the order they came; at most 1,000.
    pub async fn list(&self) -> Result<Vec<User>, D1Error> {
        self.0
            .all(
                "SELECT id, name, role, created_at FROM users ORDER BY created_at, id LIMIT 1000",
                &[],
            )
            .await
    }

    /// Adds a person.
    pub async fn insert(&self, user: &User) -> Result<(), D1Error> {
        self.0
            .run(
                "INSERT INTO users (id, name, role, created_at) VALUES (?1, ?2, ?3, ?4)",
                params![&user.id, &user.name, role_word(user.role), user.created_at],
            )
            .await
            .map(|_| ())
    }
}
