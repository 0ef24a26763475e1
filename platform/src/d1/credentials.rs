//! Keys to model APIs, sealed.

use sam_domain::catalogue::model::Provider;
use sam_domain::id::{CredentialId, UserId};
use sam_domain::provider::key::{Endpoint, HeldKey, Scope};
use sam_domain::provider::wire::KeyCheck;
use sam_domain::time::Timestamp;
use serde::Deserialize;

use super::{D1, D1Error};
use crate::crypto::Sealed;
use crate::{columns, params, row};

/// A stored key.
#[derive(Debug, Clone)]
pub struct Credential {
    /// Names it.
    pub id: CredentialId,
    /// Whose it is.
    pub scope: Scope,
    /// The project's or person's id; `platform` for the installation's.
    pub owner_id: String,
    /// For which provider.
    pub provider: Provider,
    active: Flag,
    endpoint: Option<String>,
    account: Option<String>,
    key_id: String,
    sealed: String,
    checked: KeyCheck,
    updated_by: UserId,
    updated_at: Timestamp,
}
columns!(Credential: id, scope, owner_id, provider, active, endpoint, account, key_id, sealed, checked, updated_by, updated_at);

/// A yes or no as SQL keeps it.
#[derive(Debug, Clone, Copy, Deserialize)]
struct Flag(f64);

/// What is stored of a key beside its secret.
#[derive(Debug, Clone)]
pub struct Details {
    /// Whether it may be used.
    pub active: bool,
    /// Where it is sent.
    pub endpoint: Option<Endpoint>,
    /// The account it is for.
    pub account: Option<String>,
    /// How it was found.
    pub checked: KeyCheck,
    /// Who stores it.
    pub by: UserId,
    /// When.
    pub at: Timestamp,
}

/// What a sealed key is bound to.
#[must_use]
pub fn purpose(scope: Scope, owner: &str, provider: Provider) -> String {
    format!("{}:{owner}:{}", scope.name(), provider.name())
}

impl Credential {
    /// What its secret is sealed for.
    #[must_use]
    pub fn purpose(&self) -> String {
        purpose(self.scope, &self.owner_id, self.provider)
    }

    /// Its secret.
    #[must_use]
    pub fn sealed(&self) -> Sealed {
        Sealed {
            key_id: self.key_id.clone(),
            text: self.sealed.clone(),
        }
    }

    /// The key without its secret.
    #[must_use]
    pub fn held(&self) -> HeldKey {
        let endpoint = self.endpoint.as_deref();
        HeldKey {
            id: self.id.clone(),
            scope: self.scope,
            provider: self.provider,
            active: self.active.0 != 0.0,
            endpoint: endpoint.and_then(|text| sam_domain::json::from_str(text).ok()),
            account: self.account.clone(),
        }
    }

    /// What is stored beside its secret.
    #[must_use]
    pub fn details(&self) -> Details {
        let held = self.held();
        Details {
            active: held.active,
            endpoint: held.endpoint,
            account: held.account,
            checked: self.checked,
            by: self.updated_by.clone(),
            at: self.updated_at,
        }
    }
}

/// The table of keys.
#[derive(Debug, Clone)]
pub struct Credentials<'a>(pub &'a D1);

impl Credentials<'_> {
    /// The keys of one scope and owner, by provider. One that cannot be read hides no other.
    pub async fn list(&self, scope: Scope, owner: &str) -> Result<Vec<Credential>, D1Error> {
        let rows = self
            .0
            .answer(
                "SELECT id, scope, owner_id, provider, active, endpoint, account, key_id, sealed, \
                 checked, updated_by, updated_at FROM credentials \
                 WHERE scope = ?1 AND owner_id = ?2 ORDER BY provider",
                params![scope.name(), owner],
            )
            .await?;
        Ok(row::readable(&rows))
    }

    /// The next keys after an id, of all scopes.
    pub async fn after(&self, id: &str, limit: u32) -> Result<Vec<Credential>, D1Error> {
        let rows = self
            .0
            .answer(
                "SELECT id, scope, owner_id, provider, active, endpoint, account, key_id, sealed, \
                 checked, updated_by, updated_at FROM credentials WHERE id > ?1 ORDER BY id LIMIT ?2",
                params![id, limit],
            )
            .await?;
        Ok(row::readable(&rows))
    }

    /// Stores a key in place of the one that is there. The id stays.
    pub async fn put(
        &self,
        id: &CredentialId,
        (scope, owner, provider): (Scope, &str, Provider),
        sealed: &Sealed,
        details: &Details,
    ) -> Result<(), D1Error> {
        let endpoint = details.endpoint.as_ref();
        let endpoint = endpoint.and_then(|it| serde_json::to_string(it).ok());
        self.0
            .run(
                "INSERT INTO credentials (id, scope, owner_id, provider, active, endpoint, account, \
                 key_id, sealed, checked, created_at, updated_by, updated_at) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?12, ?11, ?12) \
                 ON CONFLICT (scope, owner_id, provider) DO UPDATE SET active = excluded.active, \
                 endpoint = excluded.endpoint, account = excluded.account, \
                 key_id = excluded.key_id, sealed = excluded.sealed, checked = excluded.checked, \
                 updated_by = excluded.updated_by, updated_at = excluded.updated_at",
                params![
                    id,
                    scope.name(),
                    owner,
                    provider.name(),
                    u32::from(details.active),
                    endpoint,
                    details.account.clone(),
                    sealed.key_id.as_str(),
                    sealed.text.as_str(),
                    details.checked.name(),
                    &details.by,
                    details.at,
                ],
            )
            .await
            .map(|_| ())
    }

    /// Puts another sealed form in place of the one that was read; whether that was still there.
    pub async fn reseal(&self, held: &Credential, sealed: &Sealed) -> Result<bool, D1Error> {
        let changed = self
            .0
            .run(
                "UPDATE credentials SET key_id = ?2, sealed = ?3 WHERE id = ?1 AND sealed = ?4",
                params![
                    &held.id,
                    sealed.key_id.as_str(),
                    sealed.text.as_str(),
                    held.sealed.as_str()
                ],
            )
            .await?;
        Ok(changed > 0)
    }

    /// Removes a key; whether there was one.
    pub async fn remove(
        &self,
        scope: Scope,
        owner: &str,
        provider: Provider,
    ) -> Result<bool, D1Error> {
        let changed = self
            .0
            .run(
                "DELETE FROM credentials WHERE scope = ?1 AND owner_id = ?2 AND provider = ?3",
                params![scope.name(), owner, provider.name()],
            )
            .await?;
        Ok(changed > 0)
    }
}
