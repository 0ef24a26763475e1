//! `sam chat queue`, `edit`, `unsend`, `stop`: what was sent to an agent, while it can still be changed.
//!
//! One prompt is heard at a time; the others wait in the order in which they were accepted. What waits
//! can be changed or taken back by whoever sent it and by maintainers; what is heard can only be stopped.

use super::chat::rows;
use super::task::words;
use crate::api::{Api, Call};
use crate::args::InProject;
use crate::args::chat::{OneChat, OnePrompt};
use crate::context::Context;
use crate::error::{Exit, Failure};
use crate::output::style::Paint;
use crate::output::table::Cell;
use crate::output::text;
use crate::resolve;
use sam_domain::access::route::RouteId;
use sam_domain::conversation::attachment::Attachment;
use sam_domain::conversation::call::Done;
use sam_domain::conversation::row::{Row, RowBody};
use sam_domain::conversation::wire::{PromptState, PromptView, SendPrompt, SessionView};
use sam_domain::id::Id;
use serde::Serialize;

/// Entries in which the words of prompts are looked for.
const ENTRIES: u32 = 500;
/// Columns of the words.
const WORDS: usize = 60;

/// A prompt with the beginning of its words, as `chat queue` prints it as JSON.
#[derive(Debug, Serialize)]
struct Queued<'a> {
    #[serde(flatten)]
    prompt: &'a PromptView,
    text: &'a str,
}

pub(super) async fn show(
    context: &Context,
    named: Option<&str>,
    within: &InProject,
) -> Result<Exit, Failure> {
    let api = context.api()?;
    let project = within.project.as_deref();
    let session = resolve::session_or_newest(context, &api, named, project).await?;
    let (rows, _) = rows(&api, &session, ENTRIES).await?;
    let prompts = session.prompts.iter().map(|prompt| Queued {
        prompt,
        text: said(&rows, prompt),
    });
    let out = &context.out;
    if out.json {
        out.value(&prompts.collect::<Vec<_>>())?;
        return Ok(Exit::Ok);
    }
    let table: Vec<Vec<Cell>> = prompts
        .map(|queued| {
            let (state, paint) = standing(queued.prompt.state);
            vec![
                Cell::new(queued.prompt.id.short()).paint(Paint::Muted),
                Cell::new(state).paint(paint),
                Cell::new(text::fit(&text::clean_line(queued.text), WORDS)),
            ]
        })
        .collect();
    out.table(&["PROMPT", "IS", "WORDS"], &table)?;
    let waits = |prompt: &&PromptView| prompt.state == PromptState::Queued;
    if let Some(waiting) = session.prompts.iter().find(waits) {
        let (chat, prompt) = (session.id.short(), waiting.id.short());
        out.hint(&format!(
            "Change what waits: sam chat edit {chat} {prompt} \"…\"; take it back: sam chat unsend {chat} {prompt}"
        ));
    }
    Ok(Exit::Ok)
}

pub(super) async fn edit(
    context: &Context,
    which: &OnePrompt,
    prompt: String,
) -> Result<Exit, Failure> {
    let text = words(prompt)?;
    let api = context.api()?;
    let (session, prompt) = find(context, &api, which).await?;
    let (rows, _) = rows(&api, &session, ENTRIES).await?;
    let body = SendPrompt {
        text,
        // The words are changed; what belongs to them stays.
        attachments: attached(&rows, &prompt),
    };
    let segments = [
        session.project.as_str(),
        session.id.as_str(),
        prompt.id.as_str(),
    ];
    let changed: PromptView = api
        .json(Call::new(RouteId::EditPrompt, &segments).body(&body)?)
        .await?;
    let out = &context.out;
    if out.json {
        out.value(&changed)?;
    } else {
        out.line(&format!("Changed {}, which still waits.", changed.id))?;
    }
    Ok(Exit::Ok)
}

pub(super) async fn unsend(context: &Context, which: &OnePrompt) -> Result<Exit, Failure> {
    let api = context.api()?;
    let (session, prompt) = find(context, &api, which).await?;
    let segments = [
        session.project.as_str(),
        session.id.as_str(),
        prompt.id.as_str(),
    ];
    let call = Call::new(RouteId::RemovePrompt, &segments);
    done(context, &api, call, &format!("Took {} back.", prompt.id)).await
}

pub(super) async fn stop(context: &Context, which: &OneChat) -> Result<Exit, Failure> {
    let api = context.api()?;
    let project = which.within.project.as_deref();
    let session = resolve::session(context, &api, &which.chat, project).await?;
    let segments = [session.project.as_str(), session.id.as_str()];
    let call = Call::new(RouteId::CancelTurn, &segments);
    let said = format!("Told the agent of {} to stop.", session.id);
    done(context, &api, call, &said).await
}

/// Makes a call that answers nothing but that it is done.
async fn done(context: &Context, api: &Api, call: Call<'_>, said: &str) -> Result<Exit, Failure> {
    let done: Done = api.json(call).await?;
    let out = &context.out;
    if out.json {
        out.value(&done)?;
    } else {
        out.line(said)?;
    }
    Ok(Exit::Ok)
}

/// A conversation and one of its prompts that waits or was sent lately.
async fn find(
    context: &Context,
    api: &Api,
    which: &OnePrompt,
) -> Result<(SessionView, PromptView), Failure> {
    let project = which.chat.within.project.as_deref();
    let session = resolve::session(context, api, &which.chat.chat, project).await?;
    let prompts = session.prompts.clone();
    let prompt = resolve::named(&which.prompt, "prompt", prompts, |prompt| ("", &prompt.id))?;
    Ok((session, prompt))
}

/// The files of a prompt, as its entry names them.
fn attached(rows: &[Row], prompt: &PromptView) -> Vec<Attachment> {
    let row = rows.iter().find(|row| row.id == prompt.row);
    match row.map(|row| &row.body) {
        Some(RowBody::Text(body)) => body.attachments.clone(),
        _ => Vec::new(),
    }
}

/// The beginning of a prompt's words, as its entry shows them.
fn said<'a>(rows: &'a [Row], prompt: &PromptView) -> &'a str {
    let row = rows.iter().find(|row| row.id == prompt.row);
    match row.map(|row| &row.body) {
        Some(RowBody::Text(body)) => &body.text,
        _ => "",
    }
}

/// What became of a prompt so far, with a shape and a colour.
const fn standing(state: PromptState) -> (&'static str, Paint) {
    match state {
        PromptState::Queued => ("○ queued", Paint::Warn),
        PromptState::Sent => ("○ accepted", Paint::Info),
        PromptState::Running => ("● running", Paint::Info),
        PromptState::Finished => ("✓ finished", Paint::Ok),
        PromptState::Cancelled => ("✗ stopped", Paint::Muted),
        PromptState::Unknown => ("? unknown", Paint::Danger),
    }
}
