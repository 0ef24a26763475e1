//! Subscription logins of coding agents, sealed. Their one writer is the `SubscriptionLogin` object;
//! encrypting them anew changes nothing of what they are, and they go with their person.

use super::{D1, D1Error};
use crate::crypto::Sealed;
use crate::{columns, params, row};
use sam_domain::id::{Id as _, UserId};
use sam_domain::login::call::LoginName;
use sam_domain::login::keeper::Standing;
use sam_domain::login::wire::LoginView;
use sam_domain::time::Timestamp;

/// A stored login.
#[derive(Debug, Clone)]
pub struct StoredLogin {
    /// Whose.
    pub user_id: UserId,
    /// Of which agent.
    pub agent: String,
    /// Grows with each login that is stored and each refresh.
    pub version: u64,
    key_id: String,
    sealed: String,
    expires_at: Option<Timestamp>,
    renewable: f64,
    tried_at: Option<Timestamp>,
    refused: f64,
    updated_at: Timestamp,
}
columns!(StoredLogin: user_id, agent, version, key_id, sealed, expires_at, renewable, tried_at, refused, updated_at);

/// What a sealed login is bound to.
#[must_use]
pub fn purpose(name: &LoginName) -> String {
    format!("login:{name}")
}

impl StoredLogin {
    /// What its object is named by.
    #[must_use]
    pub fn name(&self) -> LoginName {
        LoginName {
            user: self.user_id.clone(),
            agent: self.agent.clone(),
        }
    }

    /// Its sealed file.
    #[must_use]
    pub fn sealed(&self) -> Sealed {
        Sealed {
            key_id: self.key_id.clone(),
            text: self.sealed.clone(),
        }
    }

    /// How it stands.
    #[must_use]
    pub fn standing(&self) -> Standing {
        Standing {
            since: self.updated_at,
            expires_at: self.expires_at,
            renewable: self.renewable != 0.0,
            tried_at: self.tried_at,
            refused: self.refused != 0.0,
        }
    }

    /// What its person sees of it.
    #[must_use]
    pub fn view(&self, now: Timestamp) -> LoginView {
        let standing = self.standing();
        LoginView {
            agent: self.agent.clone(),
            needs_sign_in: standing.problem(now),
            expires_at: standing.expires_at,
            renewable: standing.renewable,
            key_id: self.key_id.clone(),
            updated_at: self.updated_at,
            warning: None,
        }
    }
}

/// The table of logins.
#[derive(Debug, Clone)]
pub struct AgentLogins<'a>(pub &'a D1);

impl AgentLogins<'_> {
    /// A person's logins. One that cannot be read hides no other.
    pub async fn of(&self, user: &UserId) -> Result<Vec<StoredLogin>, D1Error> {
        let rows = self
            .0
            .answer(
                "SELECT * FROM agent_logins WHERE user_id = ?1 ORDER BY agent",
                params![user],
            )
            .await?;
        Ok(row::readable(&rows))
    }

    /// One login.
    pub async fn login(&self, name: &LoginName) -> Result<Option<StoredLogin>, D1Error> {
        self.0
            .first(
                "SELECT * FROM agent_logins WHERE user_id = ?1 AND agent = ?2",
                params![&name.user, &name.agent],
            )
            .await
    }

    /// The next logins after one, or the first, of everybody.
    pub async fn logins_after(
        &self,
        last: Option<&LoginName>,
        limit: u32,
    ) -> Result<Vec<StoredLogin>, D1Error> {
        let user = last.map_or("", |name| name.user.as_str());
        let agent = last.map_or("", |name| name.agent.as_str());
        self.0
            .all(
                "SELECT * FROM agent_logins WHERE (user_id, agent) > (?1, ?2) \
                 ORDER BY user_id, agent LIMIT ?3",
                params![user, agent, limit],
            )
            .await
    }

    /// Keeps a login in place of the one that is there.
    pub async fn keep(
        &self,
        name: &LoginName,
        sealed: &Sealed,
        standing: &Standing,
        now: Timestamp,
    ) -> Result<(), D1Error> {
        self.0
            .run(
                "INSERT INTO agent_logins (user_id, agent, version, key_id, sealed, expires_at, \
                 renewable, tried_at, refused, updated_at) \
                 VALUES (?1, ?2, 1, ?3, ?4, ?5, ?6, NULL, 0, ?7) \
                 ON CONFLICT (user_id, agent) DO UPDATE SET version = version + 1, \
                 key_id = excluded.key_id, sealed = excluded.sealed, \
                 expires_at = excluded.expires_at, renewable = excluded.renewable, \
                 tried_at = NULL, refused = 0, updated_at = excluded.updated_at",
                params![
                    &name.user,
                    &name.agent,
                    sealed.key_id.as_str(),
                    sealed.text.as_str(),
                    standing.expires_at,
                    u32::from(standing.renewable),
                    now
                ],
            )
            .await
            .map(|_| ())
    }

    /// Writes down that a refresh begins; whether this version is still the one that is kept.
    pub async fn trying(&self, held: &StoredLogin, now: Timestamp) -> Result<bool, D1Error> {
        let changed = self
            .0
            .run(
                "UPDATE agent_logins SET tried_at = ?4 \
                 WHERE user_id = ?1 AND agent = ?2 AND version = ?3",
                params![&held.user_id, &held.agent, held.version, now],
            )
            .await?;
        Ok(changed > 0)
    }

    /// Keeps what a refresh brought, if this version is still the one that is kept.
    pub async fn renewed(
        &self,
        held: &StoredLogin,
        sealed: &Sealed,
        standing: &Standing,
        now: Timestamp,
    ) -> Result<bool, D1Error> {
        let changed = self
            .0
            .run(
                "UPDATE agent_logins SET version = version + 1, key_id = ?4, sealed = ?5, \
                 expires_at = ?6, renewable = ?7, tried_at = NULL, refused = 0, updated_at = ?8 \
                 WHERE user_id = ?1 AND agent = ?2 AND version = ?3",
                params![
                    &held.user_id,
                    &held.agent,
                    held.version,
                    sealed.key_id.as_str(),
                    sealed.text.as_str(),
                    standing.expires_at,
                    u32::from(standing.renewable),
                    now
                ],
            )
            .await?;
        Ok(changed > 0)
    }

    /// Writes down that the provider does not take this version any more.
    pub async fn refused(&self, held: &StoredLogin) -> Result<(), D1Error> {
        self.0
            .run(
                "UPDATE agent_logins SET refused = 1 \
                 WHERE user_id = ?1 AND agent = ?2 AND version = ?3",
                params![&held.user_id, &held.agent, held.version],
            )
            .await
            .map(|_| ())
    }

    /// Puts another sealed form in place of the one that was read; whether that was still there.
    pub async fn resealed(&self, held: &StoredLogin, sealed: &Sealed) -> Result<bool, D1Error> {
        let changed = self
            .0
            .run(
                "UPDATE agent_logins SET key_id = ?3, sealed = ?4 \
                 WHERE user_id = ?1 AND agent = ?2 AND sealed = ?5",
                params![
                    &held.user_id,
                    &held.agent,
                    sealed.key_id.as_str(),
                    sealed.text.as_str(),
                    held.sealed.as_str()
                ],
            )
            .await?;
        Ok(changed > 0)
    }

    /// Forgets a login; whether there was one.
    pub async fn forget(&self, name: &LoginName) -> Result<bool, D1Error> {
        let changed = self
            .0
            .run(
                "DELETE FROM agent_logins WHERE user_id = ?1 AND agent = ?2",
                params![&name.user, &name.agent],
            )
            .await?;
        Ok(changed > 0)
    }
}
