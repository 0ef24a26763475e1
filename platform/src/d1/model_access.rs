//! What a model call rests on, read as one row: the catalogue's changes, the choice for the agent,
//! and the keys that could hold.
//!
//! There is always that one row, so that an answer can be kept for the next calls of the same
//! person (see [`super::recent`]); also where nobody chose anything yet.

use sam_domain::catalogue::changes::{Models, Role};
use sam_domain::collect::Map;
use sam_domain::id::{NodeId, ProjectId, TaskId, UserId};
use sam_domain::json;
use sam_domain::provider::Mode;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::credentials::Credential;
use super::{D1, D1Error};
use crate::{columns, params, row};

/// What a model call rests on.
#[derive(Debug, Clone)]
pub struct ModelAccess {
    /// The catalogue.
    pub models: Models,
    /// The person's choice for the agent.
    pub person: Option<Chosen>,
    /// The administrators' for everybody.
    pub administrator: Option<Chosen>,
    /// The person's keys, the project's and the installation's.
    pub keys: Vec<Credential>,
    /// Why nothing may be called any more.
    pub ended: Option<Ended>,
}

/// What ends the calls of a token before its own time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The person was suspended or removed.
    Person,
    /// The task is over.
    Task,
    /// The machine was taken out.
    Node,
}

/// A choice for an agent.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Chosen {
    /// Whose access it uses.
    pub mode: Mode,
    /// The model when it names none.
    pub model: Option<String>,
}

struct Row {
    changes: String,
    defaults: String,
    person: Option<String>,
    administrator: Option<String>,
    keys: String,
    ended: Option<String>,
}
columns!(Row: changes, defaults, person, administrator, keys, ended);

const QUERY: &str = "SELECT \
    (SELECT json_group_array(json(change)) FROM model_changes) AS changes, \
    (SELECT json_group_object(role, model_id) FROM model_defaults) AS defaults, \
    (SELECT json_object('mode', mode, 'model', model_id) FROM agent_providers \
      WHERE owner_id = ?1 AND agent = ?3) AS person, \
    (SELECT json_object('mode', mode, 'model', model_id) FROM agent_providers \
      WHERE owner_id = 'platform' AND agent = ?3) AS administrator, \
    (SELECT json_group_array(json_object('id', id, 'scope', scope, 'owner_id', owner_id, \
      'provider', provider, 'active', active, 'endpoint', endpoint, 'account', account, \
      'key_id', key_id, 'sealed', sealed, 'checked', checked, 'updated_by', updated_by, \
      'updated_at', updated_at)) FROM credentials \
      WHERE (scope = 'user' AND owner_id = ?1) OR (scope = 'project' AND owner_id = ?2) \
      OR (scope = 'platform' AND owner_id = 'platform')) AS keys, \
    CASE WHEN EXISTS (SELECT 1 FROM users WHERE id = ?1 \
        AND (suspended_at IS NOT NULL OR removed_at IS NOT NULL)) THEN 'person' \
      WHEN EXISTS (SELECT 1 FROM task_index WHERE id = ?4 \
        AND state IN ('completed', 'failed', 'cancelled')) THEN 'task' \
      WHEN ?5 <> '' AND NOT EXISTS (SELECT 1 FROM node_index WHERE id = ?5) THEN 'node' \
      END AS ended";

/// For whom it is read.
#[derive(Debug, Clone, Copy)]
pub struct Asker<'a> {
    /// Whose access.
    pub user: &'a UserId,
    /// For work in which project; its keys are left out without.
    pub project: Option<&'a ProjectId>,
    /// By which agent.
    pub agent: &'a str,
    /// For which task, if for one.
    pub task: Option<&'a TaskId>,
    /// From which machine, if from one.
    pub node: Option<&'a NodeId>,
}

impl<'a> Asker<'a> {
    /// A person by themselves.
    #[must_use]
    pub fn person(user: &'a UserId) -> Self {
        Self {
            user,
            project: None,
            agent: "",
            task: None,
            node: None,
        }
    }
}

/// Reads it.
pub async fn read(database: &D1, asker: Asker<'_>) -> Result<ModelAccess, D1Error> {
    let project = asker.project.map(ToString::to_string).unwrap_or_default();
    let task = asker.task.map(ToString::to_string).unwrap_or_default();
    let node = asker.node.map(ToString::to_string).unwrap_or_default();
    let found: Option<Row> = database
        .first(QUERY, params![asker.user, project, asker.agent, task, node])
        .await?;
    let found = found.ok_or_else(|| row::RowError::new("no row"))?;
    // What cannot be read hides nothing else.
    let changes: Vec<&RawValue> = serde_json::from_str(&found.changes).unwrap_or_default();
    let changes = changes.iter().map(|change| json::from_str(change.get()));
    let defaults: Map<String, String> = json::from_str(&found.defaults).unwrap_or_default();
    let named = |role: Role| Some((role, defaults.get(role.name())?.clone()));
    let chosen = |text: Option<String>| json::from_str(&text?).ok();
    Ok(ModelAccess {
        models: Models::new(
            changes.filter_map(Result::ok).collect(),
            Role::ALL.into_iter().filter_map(named).collect(),
        ),
        person: chosen(found.person),
        administrator: chosen(found.administrator),
        keys: row::readable(&found.keys),
        ended: found.ended.map(|what| match what.as_str() {
            "person" => Ended::Person,
            "node" => Ended::Node,
            _ => Ended::Task,
        }),
    })
}
