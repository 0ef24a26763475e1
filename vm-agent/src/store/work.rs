//! What the workspaces were doing, for the day this process dies.

use super::{Store, Stored, from_sql, to_sql};
use rusqlite::{OptionalExtension, Transaction, params};
use sam_domain::id::{AgentSessionId, CommandId, PromptId, SessionId, TaskId, WorkspaceId};
use serde::{Deserialize, Serialize};

/// A workspace that was prepared, or is being prepared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct WorkspaceRecord {
    /// Which.
    pub(crate) id: WorkspaceId,
    /// Under which attempt.
    pub(crate) attempt: u32,
    /// The conversation it speaks in.
    pub(crate) session: SessionId,
    /// The task.
    pub(crate) task: TaskId,
    /// Where the repository came from and the branch goes to.
    pub(crate) repository: String,
    /// The branch.
    pub(crate) branch: String,
    /// The commit the branch forks from; what the diff is against.
    pub(crate) base_commit: String,
    /// The commit that was checked out; a newer one means there is something to push.
    pub(crate) start_commit: String,
}

/// An agent that was started and not yet reported as ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AgentRecord {
    /// The agent session.
    pub(crate) agent_session: AgentSessionId,
    /// Under which attempt.
    pub(crate) attempt: u32,
    /// The prompt that may have reached it, with its command.
    pub(crate) prompt: Option<(PromptId, CommandId)>,
}

/// A process that was started under the supervisor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ProcessRecord {
    /// Its id.
    pub(crate) pid: i32,
    /// When it started, in the kernel's ticks: ids are reused, pairs are not.
    pub(crate) started: u64,
}

impl Store {
    /// One workspace.
    pub(crate) fn workspace(&self, id: &WorkspaceId) -> Stored<Option<WorkspaceRecord>> {
        let json: Option<String> = self
            .lock()
            .query_row(
                "SELECT json FROM workspace WHERE id = ?1",
                [id.to_string()],
                |row| row.get(0),
            )
            .optional()?;
        Ok(json.map(|json| serde_json::from_str(&json)).transpose()?)
    }

    /// Agents that were not reported as ended, with their workspaces.
    pub(crate) fn agents(&self) -> Stored<Vec<(WorkspaceId, AgentRecord)>> {
        let connection = self.lock();
        let mut statement = connection.prepare("SELECT workspace, json FROM agent")?;
        let mut rows = statement.query([])?;
        let mut records = Vec::new();
        while let Some(row) = rows.next()? {
            if let Ok(workspace) = row.get::<_, String>(0)?.parse() {
                records.push((workspace, serde_json::from_str(&row.get::<_, String>(1)?)?));
            }
        }
        Ok(records)
    }

    /// Remembers a process that was started.
    pub(crate) fn add_process(
        &self,
        workspace: &WorkspaceId,
        process: &ProcessRecord,
    ) -> Stored<()> {
        self.transaction(|tx| {
            tx.execute(
                "INSERT OR REPLACE INTO process(pid, started, workspace) VALUES(?1, ?2, ?3)",
                params![process.pid, to_sql(process.started), workspace.to_string()],
            )?;
            Ok(())
        })
    }

    /// Forgets a process that is gone.
    pub(crate) fn remove_process(&self, pid: i32) -> Stored<()> {
        self.transaction(|tx| {
            tx.execute("DELETE FROM process WHERE pid = ?1", [pid])?;
            Ok(())
        })
    }

    /// Processes that were not seen to end.
    pub(crate) fn processes(&self) -> Stored<Vec<ProcessRecord>> {
        let connection = self.lock();
        let mut statement = connection.prepare("SELECT pid, started FROM process")?;
        let records = statement.query_map([], |row| {
            Ok(ProcessRecord {
                pid: row.get(0)?,
                started: from_sql(row.get(1)?),
            })
        })?;
        Ok(records.collect::<Result<_, _>>()?)
    }
}

/// Keeps a workspace.
pub(crate) fn put_workspace(tx: &Transaction<'_>, record: &WorkspaceRecord) -> Stored<()> {
    tx.execute(
        "INSERT OR REPLACE INTO workspace(id, json) VALUES(?1, ?2)",
        params![record.id.to_string(), serde_json::to_string(record)?],
    )?;
    Ok(())
}

/// Forgets a workspace. Rows it still owes stay until they are delivered.
pub(crate) fn remove_workspace(tx: &Transaction<'_>, id: &WorkspaceId) -> Stored<()> {
    tx.execute("DELETE FROM workspace WHERE id = ?1", [id.to_string()])?;
    Ok(())
}

/// Keeps what an agent is doing.
pub(crate) fn put_agent(
    tx: &Transaction<'_>,
    workspace: &WorkspaceId,
    record: &AgentRecord,
) -> Stored<()> {
    tx.execute(
        "INSERT OR REPLACE INTO agent(workspace, json) VALUES(?1, ?2)",
        params![workspace.to_string(), serde_json::to_string(record)?],
    )?;
    Ok(())
}

/// Forgets an agent that was reported as ended.
pub(crate) fn remove_agent(tx: &Transaction<'_>, workspace: &WorkspaceId) -> Stored<()> {
    tx.execute(
        "DELETE FROM agent WHERE workspace = ?1",
        [workspace.to_string()],
    )?;
    Ok(())
}
