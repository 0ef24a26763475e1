//! Whose access to models an agent uses, by person and for everybody who did not choose.

use sam_domain::id::UserId;
use sam_domain::provider::Mode;
use sam_domain::time::Timestamp;

use super::{D1, D1Error};
use crate::{columns, params};

/// The owner of the choices for everybody.
const PLATFORM: &str = "platform";

/// One choice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// For which agent.
    pub agent: String,
    /// Whether it is the administrators' for everybody.
    pub for_all: bool,
    /// What was chosen.
    pub mode: Mode,
    /// The model when the agent names none.
    pub model: Option<String>,
}

struct Row {
    agent: String,
    owner_id: String,
    mode: Mode,
    model_id: Option<String>,
}
columns!(Row: agent, owner_id, mode, model_id);

/// The table of choices.
#[derive(Debug, Clone)]
pub struct AgentProviders<'a>(pub &'a D1);

impl AgentProviders<'_> {
    /// Keeps a choice: a person's, or with none the one for everybody. Without a mode it is taken
    /// back.
    pub async fn put(
        &self,
        owner: Option<&UserId>,
        agent: &str,
        choice: Option<(Mode, Option<&str>)>,
        now: Timestamp,
    ) -> Result<(), D1Error> {
        let owner = owner.map_or_else(|| PLATFORM.to_owned(), ToString::to_string);
        let done = match choice {
            Some((mode, model)) => {
                self.0
                    .run(
                        "INSERT INTO agent_providers (owner_id, agent, mode, model_id, updated_at) \
                         VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (owner_id, agent) DO UPDATE SET \
                         mode = excluded.mode, model_id = excluded.model_id, \
                         updated_at = excluded.updated_at",
                        params![owner, agent, mode.name(), model.map(ToOwned::to_owned), now],
                    )
                    .await
            }
            None => {
                self.0
                    .run(
                        "DELETE FROM agent_providers WHERE owner_id = ?1 AND agent = ?2",
                        params![owner, agent],
                    )
                    .await
            }
        };
        done.map(|_| ())
    }

    /// A person's choices and those for everybody.
    pub async fn of(&self, user: &UserId) -> Result<Vec<Choice>, D1Error> {
        let rows: Vec<Row> = self
            .0
            .all(
                "SELECT agent, owner_id, mode, model_id FROM agent_providers \
                 WHERE owner_id IN (?1, 'platform')",
                params![user],
            )
            .await?;
        let choice = |row: Row| Choice {
            agent: row.agent,
            for_all: row.owner_id == PLATFORM,
            mode: row.mode,
            model: row.model_id,
        };
        Ok(rows.into_iter().map(choice).collect())
    }
}
