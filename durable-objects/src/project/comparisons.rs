//! The same work under several agents: which conversations are compared, and which was chosen.

use sam_domain::conversation::call::{Done, Idempotency};
use sam_domain::conversation::comparison::{Choice, Compared, Comparison, ComparisonSubmitted};
use sam_domain::conversation::session::{SessionLocal, SessionMachine};
use sam_domain::error::ApiError;
use sam_domain::id::{ComparisonId, Id as _, SessionId, TaskId, UserId};
use sam_platform::params;
use sam_platform::sql::Sql;
use serde::Deserialize;

use super::calls::Submission;
use super::frames::Json;
use super::idempotency::Once;
use super::{Project, entities};
use crate::object;
use crate::shell::ShellError;

#[derive(Deserialize)]
struct Stored {
    comparison: String,
}

/// The one thing of a conversation's view that is looked for here.
#[derive(Deserialize)]
struct NewestTask {
    task: TaskId,
}

impl Project {
    /// Begins one conversation for each agent, all of them or none.
    pub(super) fn submit_comparison(
        &self,
        submission: Submission,
        agents: Vec<String>,
        idempotency: &Idempotency,
    ) -> Result<String, ShellError> {
        self.remember(&submission.project)?;
        let sql = &self.shell.sql;
        let once = Once::of(sql, &submission.by, "compare", idempotency)?;
        if let Some(reply) = once.earlier_reply()? {
            return Ok(reply);
        }
        let (reply, begun) = sql.transaction(|| {
            let mut ids = self.shell.begin()?;
            let id = ComparisonId::draw(&mut ids);
            let begun = agents
                .into_iter()
                .map(|agent| {
                    let mut submission = submission.clone();
                    submission.request.agent = Some(agent);
                    self.begin(submission, Some(&id))
                })
                .collect::<Result<Vec<_>, _>>()?;
            let comparison = Comparison {
                created_by: submission.by.clone(),
                created_at: ids.now,
                sessions: begun.iter().map(|b| b.submitted.session.clone()).collect(),
                choice: None,
            };
            keep(sql, &id, &comparison)?;
            let reply = object::text(&ComparisonSubmitted {
                comparison: id,
                tasks: begun.iter().map(|b| b.submitted.clone()).collect(),
            })?;
            once.keep(&reply, ids.now)?;
            Ok::<_, ShellError>((reply, begun))
        })?;
        self.have_begun(begun)?;
        Ok(reply)
    }

    /// What is compared, put together from views that are stored as JSON.
    pub(super) fn comparison(&self, id: &ComparisonId) -> Result<String, ShellError> {
        let sql = &self.shell.sql;
        let comparison = stored(sql, id)?;
        let mut candidates = String::new();
        for session in &comparison.sessions {
            let Some((session, task)) = candidate(sql, session)? else {
                continue;
            };
            if !candidates.is_empty() {
                candidates.push(',');
            }
            candidates.push_str(&format!("{{\"session\":{session},\"task\":{task}}}"));
        }
        let choice = match &comparison.choice {
            Some(choice) => format!(",\"choice\":{}", object::text(choice)?),
            None => String::new(),
        };
        Ok(format!(
            "{{\"id\":\"{id}\",\"created_by\":\"{}\",\"created_at\":{},\"candidates\":[{candidates}]{choice}}}",
            comparison.created_by, comparison.created_at.0
        ))
    }

    /// Chooses a conversation; each of those compared says whether it is the one.
    pub(super) fn choose(
        &self,
        id: &ComparisonId,
        session: SessionId,
        by: UserId,
    ) -> Result<String, ShellError> {
        let sql = &self.shell.sql;
        let project = self.project()?;
        let told = sql.transaction(|| {
            let mut comparison = stored(sql, id)?;
            let at = self.shell.begin()?.now;
            if !comparison.choose(Choice { session, by, at })? {
                return Ok(Vec::new());
            }
            keep(sql, id, &comparison)?;
            let mut told = Vec::new();
            for session in &comparison.sessions {
                let chosen = comparison
                    .choice
                    .as_ref()
                    .is_some_and(|choice| choice.session == *session);
                let local = SessionLocal::Compare(Compared {
                    comparison: id.clone(),
                    chosen,
                });
                let ((), changes, now) = self.turn(&project, session, |actor, turn, work| {
                    let handled = actor.local::<SessionMachine>(turn, local);
                    Ok((work.perform(actor, turn, handled)?, ()))
                })?;
                told.push((session.clone(), changes, now));
            }
            Ok::<_, ShellError>(told)
        })?;
        for (session, changes, now) in told {
            self.announce(changes, &session, now)?;
        }
        object::text(&Done {})
    }
}

/// The views of a conversation and of its newest task.
fn candidate(sql: &Sql, id: &SessionId) -> Result<Option<(Json, Json)>, ShellError> {
    let Some(session) = entities::get(sql, id.as_str())? else {
        return Ok(None);
    };
    let newest: NewestTask =
        serde_json::from_str(&session).map_err(|error| unreadable(id.as_str(), &error))?;
    let task = entities::get(sql, newest.task.as_str())?;
    Ok(task.map(|task| (session, task)))
}

fn stored(sql: &Sql, id: &ComparisonId) -> Result<Comparison, ShellError> {
    let row: Option<Stored> = sql.first(
        "SELECT comparison FROM comparisons WHERE id = ?",
        params![id],
    )?;
    let row = row.ok_or_else(|| ApiError::not_found("comparison"))?;
    serde_json::from_str(&row.comparison).map_err(|error| unreadable(id.as_str(), &error))
}

fn keep(sql: &Sql, id: &ComparisonId, comparison: &Comparison) -> Result<(), ShellError> {
    let text = object::text(comparison)?;
    sql.run(
        "INSERT INTO comparisons (id, comparison) VALUES (?1, ?2) \
         ON CONFLICT (id) DO UPDATE SET comparison = excluded.comparison",
        params![id, text],
    )?;
    Ok(())
}

fn unreadable(key: &str, error: &serde_json::Error) -> ShellError {
    ShellError::Stored {
        key: key.to_owned(),
        cause: error.to_string(),
    }
}
