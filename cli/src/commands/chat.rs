//! `sam chat …`: conversations, as one talks with somebody.
//!
//! A conversation that begins here is a task of the mode that waits for the
//! person after each answer. Having been answered is the good end of watching
//! (0); that the agent asks for leave, or that nobody knows what became of the
//! words, is still 9.

use super::task::words;
use super::{attach, queue};
use crate::api::{Api, Call};
use crate::args::chat::{Begin, Chat, ChatCommand, OneChat};
use crate::args::{Attach, InProject};
use crate::context::Context;
use crate::error::{Exit, Failure};
use crate::follow::{self, Target};
use crate::output::style::Paint;
use crate::output::table::Cell;
use crate::output::{text, time};
use crate::resolve;
use sam_domain::access::route::RouteId;
use sam_domain::conversation::row::{Row, RowBody};
use sam_domain::conversation::wire::{
    ActivityState, MessagePage, PromptAccepted, SendPrompt, SessionView, SubmitTask, Submitted,
};
use sam_domain::id::{Id, ProjectId, RowId, SessionId};
use sam_domain::task::TaskMode;
use serde::Serialize;

/// Rows of one page.
const PAGE: u32 = 500;
/// Columns of what is shown around a find.
const SNIPPET: usize = 100;

pub(super) async fn run(context: &Context, given: Chat) -> Result<Exit, Failure> {
    let Some(command) = given.command else {
        let prompt = given.prompt.unwrap_or_default();
        return begin(context, prompt, given.begin, !given.detach).await;
    };
    match command {
        ChatCommand::New {
            prompt,
            begin: how,
            follow,
        } => begin(context, prompt, how, follow).await,
        ChatCommand::Send {
            which,
            prompt,
            attach,
            follow,
        } => send(context, &which, prompt, &attach, follow).await,
        ChatCommand::Queue { chat, within } => queue::show(context, chat.as_deref(), &within).await,
        ChatCommand::Edit { which, words } => queue::edit(context, &which, words).await,
        ChatCommand::Unsend { which } => queue::unsend(context, &which).await,
        ChatCommand::Stop { which } => queue::stop(context, &which).await,
        ChatCommand::Read {
            chat,
            within,
            limit,
        } => read(context, chat.as_deref(), &within, limit).await,
        ChatCommand::List { within, limit } => list(context, &within, limit).await,
        ChatCommand::Search {
            words,
            within,
            limit,
        } => search(context, &words, &within, limit).await,
    }
}

async fn begin(
    context: &Context,
    prompt: String,
    how: Begin,
    follow: bool,
) -> Result<Exit, Failure> {
    let mut body = SubmitTask {
        prompt: words(prompt)?,
        agent: how.agent,
        agents: Vec::new(),
        mode: TaskMode::Conversation,
        base: how.base,
        permission_mode: how.permission_mode.into(),
        attachments: Vec::new(),
    };
    let api = context.api()?;
    let project = resolve::project(context, &api, how.within.project.as_deref()).await?;
    body.attachments = attach::store(&api, &project.id, &how.attach).await?;
    let segments = [project.id.as_str()];
    let submitted: Submitted = api
        .json(Call::new(RouteId::SubmitTask, &segments).body(&body)?)
        .await?;
    let out = &context.out;
    if follow {
        let target = Target {
            task: submitted.task,
            project: project.id,
            session: submitted.session,
            from: None,
            chat: true,
        };
        return follow::run(context, &api, target).await;
    }
    if out.json {
        out.value(&submitted)?;
        return Ok(Exit::Ok);
    }
    out.line(&format!(
        "Began {} in {}.",
        submitted.session,
        text::clean_line(&project.name)
    ))?;
    hint_to_read(context, &submitted.session);
    Ok(Exit::Ok)
}

fn hint_to_read(context: &Context, session: &SessionId) {
    context
        .out
        .hint(&format!("Read it: sam chat read {}", session.short()));
}

async fn send(
    context: &Context,
    which: &OneChat,
    prompt: String,
    attached: &Attach,
    follow: bool,
) -> Result<Exit, Failure> {
    let mut body = SendPrompt {
        text: words(prompt)?,
        attachments: Vec::new(),
    };
    let api = context.api()?;
    let project = which.within.project.as_deref();
    let session = resolve::session(context, &api, &which.chat, project).await?;
    body.attachments = attach::store(&api, &session.project, attached).await?;
    let segments = [session.project.as_str(), session.id.as_str()];
    let accepted: PromptAccepted = api
        .json(Call::new(RouteId::SendPrompt, &segments).body(&body)?)
        .await?;
    let out = &context.out;
    if follow {
        let target = Target {
            task: accepted.task,
            project: session.project,
            session: session.id,
            from: Some(accepted.row),
            chat: true,
        };
        return follow::run(context, &api, target).await;
    }
    if out.json {
        out.value(&accepted)?;
        return Ok(Exit::Ok);
    }
    out.line(&format!("Sent to {}.", session.id))?;
    hint_to_read(context, &session.id);
    Ok(Exit::Ok)
}

/// What `chat read` prints as JSON: the conversation and its last rows.
#[derive(Debug, Serialize)]
struct Conversation {
    session: SessionView,
    rows: Vec<Row>,
    /// Whether there are rows before them.
    has_before: bool,
}

async fn read(
    context: &Context,
    named: Option<&str>,
    within: &InProject,
    limit: u32,
) -> Result<Exit, Failure> {
    let api = context.api()?;
    let project = within.project.as_deref();
    let session = resolve::session_or_newest(context, &api, named, project).await?;
    show(context, &api, session, limit).await
}

/// Prints the last entries of a conversation, as watching it would have left them.
pub(super) async fn show(
    context: &Context,
    api: &Api,
    session: SessionView,
    limit: u32,
) -> Result<Exit, Failure> {
    let (rows, has_before) = rows(api, &session, limit).await?;
    let out = &context.out;
    if out.json {
        out.value(&Conversation {
            session,
            rows,
            has_before,
        })?;
        return Ok(Exit::Ok);
    }
    if has_before {
        out.hint(&format!(
            "There is more before: sam chat read {} --limit {}",
            session.id.short(),
            limit.saturating_mul(4)
        ));
    }
    let _pager = out.pager();
    out.line(&format!(
        "{}  {}",
        out.style
            .paint(Paint::Strong, &text::clean_line(&session.title)),
        out.style.paint(Paint::Muted, session.id.as_str())
    ))?;
    for line in follow::as_lines(out, &rows) {
        out.line(&line)?;
    }
    Ok(Exit::Ok)
}

/// The last rows of a conversation in their order, and whether there are more before them.
pub(super) async fn rows(
    api: &Api,
    session: &SessionView,
    limit: u32,
) -> Result<(Vec<Row>, bool), Failure> {
    let segments = [session.project.as_str(), session.id.as_str()];
    let mut pages: Vec<Vec<Row>> = Vec::new();
    let mut left = limit;
    let mut before: Option<RowId> = None;
    loop {
        let mut call =
            Call::new(RouteId::ListMessages, &segments).query("limit", left.min(PAGE).to_string());
        if let Some(before) = &before {
            call = call.query("before", before.as_str());
        }
        let page: MessagePage = api.json(call).await?;
        left = left.saturating_sub(u32::try_from(page.rows.len()).unwrap_or(u32::MAX));
        before = page.rows.first().map(|row| row.id.clone());
        pages.push(page.rows);
        if !page.has_before || left == 0 || before.is_none() {
            let rows = pages.into_iter().rev().flatten().collect();
            return Ok((rows, page.has_before));
        }
    }
}

async fn list(context: &Context, within: &InProject, limit: u32) -> Result<Exit, Failure> {
    let api = context.api()?;
    let project = resolve::project(context, &api, within.project.as_deref()).await?;
    let list = resolve::sessions(&api, &project.id, limit).await?;
    let out = &context.out;
    if out.json {
        out.value(&list)?;
        return Ok(Exit::Ok);
    }
    if list.sessions.is_empty() {
        out.hint("There is no conversation yet: sam chat \"what you want to say\"");
        return Ok(Exit::Ok);
    }
    let now = time::now();
    let rows: Vec<Vec<Cell>> = list
        .sessions
        .iter()
        .map(|session| {
            let (word, paint) = activity(session);
            vec![
                Cell::new(session.id.short()).paint(Paint::Muted),
                Cell::new(word).paint(paint),
                Cell::new(time::ago(session.updated_at, now)),
                Cell::new(text::fit(&text::clean_line(&session.title), 60)),
            ]
        })
        .collect();
    out.table(&["ID", "AGENT IS", "CHANGED", "TITLE"], &rows)?;
    if list.next.is_some() {
        out.hint(&format!(
            "There are more: sam chat list --limit {}",
            limit.saturating_mul(2)
        ));
    }
    Ok(Exit::Ok)
}

/// What the agent is doing, with a shape and a colour.
fn activity(session: &SessionView) -> (&'static str, Paint) {
    match session.activity.as_ref().map(|activity| activity.state) {
        None | Some(ActivityState::Idle) => ("○ idle", Paint::Muted),
        Some(ActivityState::Starting) => ("● starting", Paint::Info),
        Some(ActivityState::Prompting) => ("● working", Paint::Info),
        Some(ActivityState::WaitingForPerson) => ("? waiting", Paint::Warn),
        Some(ActivityState::Recovering) => ("● recovering", Paint::Warn),
        Some(ActivityState::Unknown) => ("? unknown", Paint::Warn),
        Some(ActivityState::Ended) => ("✓ ended", Paint::Muted),
    }
}

/// One find, as `chat search` prints it as JSON.
#[derive(Debug, Serialize)]
struct Found {
    project: ProjectId,
    session: SessionId,
    title: String,
    /// The entry; absent where the title is what was found.
    row: Option<RowId>,
    /// The line that says it.
    text: String,
}

/// Looks into the newest conversations, one after the other, newest finds first.
async fn search(
    context: &Context,
    words: &[String],
    within: &InProject,
    limit: u32,
) -> Result<Exit, Failure> {
    let words: Vec<String> = words
        .iter()
        .flat_map(|word| word.split_whitespace())
        .map(str::to_lowercase)
        .collect();
    if words.is_empty() {
        return Err(Failure::usage("There is no word to look for.", "Name one."));
    }
    let api = context.api()?;
    let project = resolve::project(context, &api, within.project.as_deref()).await?;
    let list = resolve::sessions(&api, &project.id, limit).await?;
    let mut found = Vec::new();
    for session in &list.sessions {
        let (rows, _) = rows(&api, session, u32::MAX).await?;
        let in_title = said(&session.title, &words).map(|text| (None, text));
        let in_rows = rows.iter().rev().filter_map(|row| {
            let text = said(spoken(row)?, &words)?;
            Some((Some(row.id.clone()), text))
        });
        // What stands in the title was said in the first words as well.
        let finds: Vec<_> = in_rows.collect();
        let title = in_title.filter(|_| finds.is_empty());
        found.extend(finds.into_iter().chain(title).map(|(row, text)| Found {
            project: project.id.clone(),
            session: session.id.clone(),
            title: session.title.clone(),
            row,
            text,
        }));
    }
    let out = &context.out;
    if out.json {
        out.value(&serde_json::json!({
            "found": found,
            "conversations": list.sessions.len(),
            "complete": list.next.is_none(),
        }))?;
    } else {
        show_found(context, &found)?;
        if list.next.is_some() {
            out.hint(&format!(
                "The newest {limit} conversations were looked into; more: --limit {}",
                limit.saturating_mul(4)
            ));
        }
    }
    if found.is_empty() {
        out.hint(&format!("Nothing in {} says that.", project.name));
        return Ok(Exit::NotFound);
    }
    Ok(Exit::Ok)
}

fn show_found(context: &Context, found: &[Found]) -> Result<(), Failure> {
    let out = &context.out;
    let _pager = out.pager();
    let mut last = None;
    for find in found {
        if last != Some(&find.session) {
            out.line(&format!(
                "{}  {}",
                out.style.paint(Paint::Muted, find.session.short()),
                out.style
                    .paint(Paint::Strong, &text::clean_line(&find.title))
            ))?;
            last = Some(&find.session);
        }
        out.line(&format!("    {}", text::clean_line(&find.text)))?;
    }
    Ok(())
}

/// What somebody said in a row, if words are what it holds.
fn spoken(row: &Row) -> Option<&str> {
    match &row.body {
        RowBody::Text(body) => Some(&body.text),
        RowBody::Notice(body) => Some(&body.text),
        _ => None,
    }
}

/// The first line with one of the words, if all of them are in the text.
fn said(text: &str, words: &[String]) -> Option<String> {
    let lower = text.to_lowercase();
    if !words.iter().all(|word| lower.contains(word.as_str())) {
        return None;
    }
    let line = text.lines().find(|line| {
        let line = line.to_lowercase();
        words.iter().any(|word| line.contains(word.as_str()))
    })?;
    Some(text::fit(&text::clean_line(line.trim()), SNIPPET))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_words_are_found_in_any_case_and_order() {
        let words = |text: &str| -> Vec<String> {
            text.split_whitespace().map(str::to_lowercase).collect()
        };
        let text = "First line\n  the Parser FAILS here  \nlast";
        for (asked, line) in [
            ("parser", Some("the Parser FAILS here")),
            ("fails parser", Some("the Parser FAILS here")),
            ("last first", Some("First line")),
            ("parser missing", None),
        ] {
            assert_eq!(said(text, &words(asked)).as_deref(), line, "{asked}");
        }
    }
}
