//! What the feed has told about one task.

use super::Target;
use super::outcome::Outcome;
use crate::error::Failure;
use sam_domain::conversation::reducer::{Conversation, ProjectState};
use sam_domain::conversation::row::{Author, PermissionState, Row, RowBody};
use sam_domain::conversation::wire::{PromptState, SessionView};
use sam_domain::feed::{ClientFrame, Scope, ServerFrame};
use sam_domain::task::TaskView;

/// A task and its conversation, as the feed has told them.
#[derive(Debug)]
pub(super) struct View {
    target: Target,
    project: ProjectState,
    conversation: Conversation,
    greeted_project: bool,
    greeted_session: bool,
    connections: u32,
}

impl View {
    pub(super) fn new(target: Target) -> Self {
        Self {
            project: ProjectState::new(target.project.clone()),
            conversation: Conversation::new(target.session.clone()),
            target,
            greeted_project: false,
            greeted_session: false,
            connections: 0,
        }
    }

    pub(super) const fn target(&self) -> &Target {
        &self.target
    }

    /// A new connection has greeted nobody yet: what was the present before is
    /// not known to be so any more.
    pub(super) const fn begin_connection(&mut self) {
        self.greeted_project = false;
        self.greeted_session = false;
    }

    /// Whether this is not the first connection that works.
    pub(super) const fn is_resumed(&self) -> bool {
        self.connections > 1
    }

    /// The frames that open a connection.
    pub(super) fn follow(&mut self) -> [ClientFrame; 2] {
        self.connections += 1;
        [self.project.follow(), self.conversation.follow()]
    }

    /// Takes in a frame; returns what to send back.
    pub(super) fn apply(&mut self, frame: &ServerFrame) -> Result<Option<ClientFrame>, Failure> {
        match frame {
            ServerFrame::Hello { scope, .. } => match scope {
                Scope::Project(_) => self.greeted_project = true,
                Scope::Session(_) => self.greeted_session = true,
            },
            ServerFrame::Refused { code, scope } => return Err(refused(code, scope.as_ref())),
            ServerFrame::Changes { .. }
            | ServerFrame::Delta { .. }
            | ServerFrame::Activity { .. }
            | ServerFrame::Reset { .. } => {}
        }
        let of_project = self.project.apply(frame);
        let of_session = self.conversation.apply(frame);
        Ok(of_project.reply.or(of_session.reply))
    }

    /// Whether both scopes have reached the present on this connection.
    pub(super) const fn is_current(&self) -> bool {
        self.greeted_project
            && self.greeted_session
            && self.project.is_current()
            && self.conversation.is_current()
    }

    pub(super) fn task(&self) -> Option<&TaskView> {
        self.project.task(&self.target.task)
    }

    pub(super) fn session(&self) -> Option<&SessionView> {
        self.project.session(&self.target.session)
    }

    /// The task's outcome once everything up to it is known.
    pub(super) fn outcome(&self) -> Result<Option<Outcome>, Failure> {
        if !self.is_current() {
            return Ok(None);
        }
        let Some(task) = self.task() else {
            return Err(Failure::NotFound {
                message: format!("The project has no task {}.", self.target.task),
                hint: Some("See `sam task list`.".to_owned()),
            });
        };
        Ok(Outcome::of(task, self.session()))
    }

    /// Whether this is talk and the person has been answered: the last words are
    /// done with, and the agent asks for nothing.
    pub(super) fn is_answered(&self, outcome: Outcome) -> bool {
        let finished = self.session().is_some_and(|session| {
            let last = session.prompts.last();
            last.is_some_and(|prompt| prompt.state == PromptState::Finished)
        });
        let asks = |row: &&Row| matches!(&row.body, RowBody::Permission(body) if body.state == PermissionState::Open);
        self.target.chat
            && outcome == Outcome::AwaitingInput
            && finished
            && !self.rows().iter().any(asks)
    }

    /// The rows to show, in order: those of the followed task. A session can
    /// have had tasks before and after; a row does not say which it belongs
    /// to, so the bounds are the person's rows that began this one and the next.
    pub(super) fn rows(&self) -> Vec<&Row> {
        let Some(task) = self.task() else {
            return Vec::new();
        };
        let rows: Vec<&Row> = self.conversation.rows().collect();
        let by_person = |row: &Row| row.author == Author::Person;
        let start = match &self.target.from {
            Some(id) => rows.iter().position(|row| row.id == *id),
            None => rows
                .iter()
                .rposition(|row| by_person(row) && row.created_at <= task.created_at),
        }
        .unwrap_or(0);
        let end = rows
            .iter()
            .skip(start + 1)
            .position(|row| {
                task.state.is_terminal() && by_person(row) && row.created_at > task.since
            })
            .map_or(rows.len(), |offset| start + 1 + offset);
        rows.into_iter().take(end).skip(start).collect()
    }
}

fn refused(code: &str, scope: Option<&Scope>) -> Failure {
    let what = match scope {
        Some(Scope::Project(id)) => format!("the project {id}"),
        Some(Scope::Session(id)) => format!("the conversation {id}"),
        None => "a frame".to_owned(),
    };
    match code {
        "not_found" => Failure::NotFound {
            message: format!("The feed does not know {what}."),
            hint: None,
        },
        _ => Failure::unusable(format!("The feed refused {what}: {code}.")),
    }
}
