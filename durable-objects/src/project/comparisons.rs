//! The same work under several agents: which conversations belong together, and which was chosen.

use sam_domain::conversation::call::Done;
use sam_domain::conversation::comparison::Checks;
use sam_domain::conversation::session::SessionLocal;
use sam_domain::error::ApiError;
use sam_domain::id::{Id as _, SessionId, TaskId, UserId};
use sam_platform::{clock, columns, params};

use super::Project;
use super::calls::{Begun, Submission};
use crate::object;
use crate::shell::ShellError;

/// What does the same work as a conversation, put together where it is stored. The first of them may
/// be asked for as well as any other.
const CANDIDATES: &str = "SELECT c.session, t.id AS task, \
       '{\"session\":' || s.view || ',\"task\":' || t.view || \
       iif(c.chosen_by IS NULL, '', ',\"chosen_by\":\"' || c.chosen_by || '\",\"chosen_at\":' || c.chosen_at) \
       AS shown \
     FROM comparisons c JOIN entities s ON s.id = c.session \
       JOIN entities t ON t.id = json_extract(s.view, '$.task') WHERE c.comparison = ? ORDER BY c.session";

/// The tool calls among a conversation's newest rows that are over.
const TOOL_CALLS: &str = "SELECT row ->> '$.body.tool_kind' AS kind, row ->> '$.body.status' AS status, \
       coalesce(substr(row ->> '$.body.output', -1000), '') AS output \
     FROM (SELECT row, pos FROM rows WHERE session = ? ORDER BY pos DESC LIMIT 500) \
     WHERE row ->> '$.kind' = 'tool' AND status IN ('completed', 'failed', 'interrupted') ORDER BY pos";

struct Stored {
    session: SessionId,
    task: TaskId,
    shown: String,
}

columns!(Stored: session, task, shown);

struct ToolCall {
    kind: String,
    status: String,
    output: String,
}

columns!(ToolCall: kind, status, output);

struct Member {
    session: SessionId,
}

columns!(Member: session);

impl Project {
    /// Begins a conversation for each agent that the request names, or one.
    pub(super) fn begin_all(&self, mut submission: Submission) -> Result<Vec<Begun>, ShellError> {
        let agents = std::mem::take(&mut submission.request.agents);
        if agents.is_empty() {
            return Ok(vec![self.begin(submission, None)?]);
        }
        let mut begun: Vec<Begun> = Vec::with_capacity(agents.len());
        for agent in agents {
            let mut one = submission.clone();
            one.request.agent = Some(agent);
            let first = begun.first().map(|begun| &begun.submitted.session);
            let next = self.begin(one, Some(first))?;
            begun.push(next);
        }
        Ok(begun)
    }

    /// Remembers that a conversation does the same work as `comparison`, which may be itself.
    pub(super) fn add_to_comparison(
        &self,
        comparison: &SessionId,
        session: &SessionId,
    ) -> Result<(), ShellError> {
        self.shell.sql.run(
            "INSERT INTO comparisons (comparison, session) VALUES (?, ?)",
            params![comparison, session],
        )?;
        Ok(())
    }

    /// What does the same work as this conversation.
    pub(super) fn comparison(&self, session: &SessionId) -> Result<String, ShellError> {
        let comparison = self.comparison_of(session)?;
        let stored: Vec<Stored> = self.shell.sql.rows(CANDIDATES, params![&comparison])?;
        let mut lines = String::new();
        for one in &stored {
            let Checks { passed, failed } = self.checks(&one.session)?;
            let checks = format!(",\"checks\":{{\"passed\":{passed},\"failed\":{failed}}}\n");
            lines.extend([one.task.as_str(), " ", &one.shown, &checks]);
        }
        Ok(lines)
    }

    fn checks(&self, session: &SessionId) -> Result<Checks, ShellError> {
        let calls: Vec<ToolCall> = self.shell.sql.rows(TOOL_CALLS, params![session])?;
        let mut checks = Checks::default();
        for call in &calls {
            checks.add(&call.kind, &call.status, &call.output);
        }
        Ok(checks)
    }

    /// Chooses a conversation; each of those that do the same work says whether it is the one.
    /// Choosing the one that is chosen keeps whose choice it was.
    pub(super) fn choose(&self, session: &SessionId, by: &UserId) -> Result<String, ShellError> {
        let sql = &self.shell.sql;
        let comparison = self.comparison_of(session)?;
        let told = sql.transaction(|| {
            let chosen = sql.record(
                "SELECT session FROM comparisons WHERE comparison = ? AND session = ? \
                   AND chosen_by IS NOT NULL",
                params![&comparison, session],
            )?;
            if chosen.is_some() {
                return Ok(Vec::new());
            }
            sql.run(
                "UPDATE comparisons SET chosen_by = iif(session = ?1, ?2, NULL), \
                   chosen_at = iif(session = ?1, ?3, NULL) WHERE comparison = ?4",
                params![session, by, clock::now(), &comparison],
            )?;
            let members = sql.rows::<Member>(
                "SELECT session FROM comparisons WHERE comparison = ?",
                params![&comparison],
            )?;
            let mut told = Vec::with_capacity(members.len());
            for member in members {
                let compare = SessionLocal::Compare {
                    comparison: comparison.clone(),
                    chosen: member.session == *session,
                };
                let turn = self.turn(&member.session, Some(compare))?;
                told.push((member.session, turn));
            }
            Ok::<_, ShellError>(told)
        })?;
        for (session, (changes, now)) in told {
            self.announce(changes, &session, now)?;
        }
        object::text(&Done {})
    }

    fn comparison_of(&self, session: &SessionId) -> Result<SessionId, ShellError> {
        let actor = self.shell.load(session.as_str())?;
        let comparison = actor.and_then(|actor| actor.state.comparison);
        comparison.ok_or_else(|| ApiError::not_found("comparison").into())
    }
}
