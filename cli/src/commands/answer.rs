//! `sam task answer`: what an agent asked, and a person's answer to it.

use crate::api::{Api, Call};
use crate::args::Answer;
use crate::context::Context;
use crate::error::{Exit, Failure};
use crate::output::style::Paint;
use crate::output::text;
use crate::resolve;
use sam_domain::access::route::RouteId;
use sam_domain::conversation::row::{PermissionBody, PermissionState, Row, RowBody};
use sam_domain::conversation::wire::{AnswerAccepted, AnswerPermission, MessagePage};
use sam_domain::id::Id;
use sam_domain::task::TaskView;
use serde::Serialize;
use std::collections::BTreeSet;

/// A question that waits for an answer.
#[derive(Debug, Serialize)]
struct Question {
    row: Row,
    #[serde(skip)]
    body: PermissionBody,
}

pub(super) async fn run(context: &Context, command: Answer) -> Result<Exit, Failure> {
    let api = context.api()?;
    let project = command.which.within.project.as_deref();
    let task = resolve::task(context, &api, &command.which.task, project).await?;
    let open = questions(&api, &task).await?;
    let out = &context.out;
    let asks_to_answer = command.choice.is_some() || command.allow || command.reject;
    if !asks_to_answer {
        if out.json {
            out.value(&open)?;
            return Ok(Exit::Ok);
        }
        if open.is_empty() {
            out.hint("The agent asks nothing.");
        }
        for question in &open {
            for line in lines(&question.row, &question.body) {
                out.line(&out.style.paint(Paint::Warn, &line))?;
            }
        }
        return Ok(Exit::Ok);
    }
    let question = the_one(open, command.question.as_deref())?;
    let option = choice(&question.body, &command)?;
    let segments = [
        task.project.as_str(),
        task.session.as_str(),
        question.row.id.as_str(),
    ];
    let body = AnswerPermission { option };
    let accepted: AnswerAccepted = api
        .json(Call::new(RouteId::AnswerPermission, &segments).body(&body)?)
        .await?;
    if out.json {
        out.value(&accepted)?;
    } else {
        out.line(&format!(
            "Answered “{}”.",
            text::clean_line(&label(&question.body, &accepted.option))
        ))?;
    }
    Ok(Exit::Ok)
}

/// The questions that nobody answered yet, oldest first.
async fn questions(api: &Api, task: &TaskView) -> Result<Vec<Question>, Failure> {
    let segments = [task.project.as_str(), task.session.as_str()];
    let page: MessagePage = api
        .json(Call::new(RouteId::ListMessages, &segments))
        .await?;
    let answered: BTreeSet<_> = page
        .rows
        .iter()
        .filter_map(|row| match &row.body {
            RowBody::Answer(answer) => Some(answer.permission.clone()),
            _ => None,
        })
        .collect();
    Ok(page
        .rows
        .into_iter()
        .filter(|row| !answered.contains(&row.id))
        .filter_map(|row| match &row.body {
            RowBody::Permission(body) if body.state == PermissionState::Open => {
                let body = (**body).clone();
                Some(Question { row, body })
            }
            _ => None,
        })
        .collect())
}

fn the_one(mut open: Vec<Question>, named: Option<&str>) -> Result<Question, Failure> {
    if let Some(named) = named {
        open.retain(|question| question.row.id.as_str().ends_with(&named.to_lowercase()));
    }
    if open.len() > 1 {
        return Err(Failure::usage(
            "The agent asks more than one thing.",
            "Name one with --question; `sam task answer TASK` lists them.",
        ));
    }
    open.pop().ok_or_else(|| Failure::NotFound {
        message: "The agent waits for no such answer.".to_owned(),
        hint: Some("Somebody may have answered, or its time was up.".to_owned()),
    })
}

fn choice(body: &PermissionBody, command: &Answer) -> Result<String, Failure> {
    let found = match &command.choice {
        Some(id) => body.choices.iter().find(|choice| choice.id == *id),
        // Once before for good: no more is allowed than was asked.
        None => body
            .choices
            .iter()
            .filter(|choice| {
                (command.allow && choice.means.allows())
                    || (command.reject && choice.means.rejects())
            })
            .min_by_key(|choice| choice.means as u8),
    };
    found.map(|choice| choice.id.clone()).ok_or_else(|| {
        let offered: Vec<_> = body
            .choices
            .iter()
            .map(|choice| choice.id.as_str())
            .collect();
        Failure::usage(
            "The agent offers no such answer.",
            format!("It offers: {}.", text::clean_line(&offered.join(", "))),
        )
    })
}

fn label(body: &PermissionBody, option: &str) -> String {
    body.choices
        .iter()
        .find(|choice| choice.id == option)
        .map_or_else(|| option.to_owned(), |choice| choice.label.clone())
}

fn lines(row: &Row, body: &PermissionBody) -> Vec<String> {
    let mut lines = vec![format!(
        "? {}  {}",
        row.id.short(),
        text::clean_line(&body.title)
    )];
    lines.extend(body.choices.iter().map(|choice| {
        format!(
            "    {}  {}",
            text::clean_line(&choice.id),
            text::clean_line(&choice.label)
        )
    }));
    lines
}
