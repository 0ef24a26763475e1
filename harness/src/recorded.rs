//! `list`, `show` and `replay`: what is recorded, for people and programs.

use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use sam_acp::{PlanStatus, ToolContent};
use sam_dialects::conversation::{Body, Part};
use sam_harness::transcript::{self, Entry, Event, Header, Line, State, TranscriptError};
use tokio_util::sync::CancellationToken;

use crate::cli::{Cli, ListArgs, ModelArgs, ReplayArgs, ShowArgs};
use crate::guard::{Guard, GuardArgs, PermissionMode};
use crate::limits::Limits;
use crate::model::{Came, ModelClient, Recorded, RecordedReply};
use crate::notice;
use crate::printable::printable;
use crate::prompt::PromptOptions;
use crate::run::Printer;
use crate::sandbox::{Sandbox, SandboxArgs};
use crate::session::{Records, Session};
use crate::tools::{ProcessGroups, ToolOutput};
use crate::turn::{COMPACT, Conversation, Prompt, Remembered};
use crate::workspace::Workspace;
use crate::{COMPLETE, FAILED};

/// Lists the sessions.
pub(crate) fn list(args: &ListArgs) -> Result<u8, String> {
    let records = Records::new(&args.record, None);
    let root = records.root()?;
    let sessions = transcript::list(root).map_err(|error| error.to_string())?;
    if sessions.is_empty() {
        eprintln!("{}", TranscriptError::Empty(root.to_owned()));
    }
    let mut out = io::stdout().lock();
    for session in sessions {
        let line = if args.json {
            serde_json::to_string(&session).map_err(|error| error.to_string())?
        } else {
            let title = printable(session.title.as_deref().unwrap_or("(nothing said yet)"));
            let (updated, cwd) = (time(session.updated), session.cwd.display());
            format!(
                "{}  {updated}  {}  {title}",
                session.session,
                printable(&cwd.to_string())
            )
        };
        // A reader that has left has seen enough.
        if writeln!(out, "{line}").is_err() {
            break;
        }
    }
    Ok(COMPLETE)
}

/// Shows a session.
pub(crate) fn show(args: &ShowArgs) -> Result<u8, String> {
    let records = Records::new(&args.record, None);
    let (header, entries) =
        transcript::events(records.root()?, &args.session).map_err(|error| error.to_string())?;
    let mut out = io::stdout().lock();
    let first = if args.json {
        serde_json::to_string(&header).map_err(|error| error.to_string())?
    } else {
        head(&header)
    };
    let mut open = writeln!(out, "{first}").is_ok();
    for entry in entries {
        if !open {
            break;
        }
        let text = match (&entry, args.json) {
            (Entry::Line(line), true) => {
                serde_json::to_string(line).map_err(|error| error.to_string())?
            }
            (Entry::Line(line), false) => match readable(line) {
                Some(text) => printable(&text),
                None => continue,
            },
            (Entry::Unreadable { line, why }, false) => {
                format!("! line {line} cannot be read: {}", printable(why))
            }
            (Entry::Torn { bytes, .. }, false) => format!("! a line of {bytes} bytes is cut off"),
            (Entry::Header(_) | Entry::Unreadable { .. } | Entry::Torn { .. }, _) => continue,
        };
        open = writeln!(out, "{text}").is_ok();
    }
    Ok(COMPLETE)
}

fn head(header: &Header) -> String {
    let (model, provider, agent) = (&header.model, &header.provider, &header.agent);
    let (created, cwd) = (time(header.created), header.cwd.display());
    let further = header.additional_directories.iter();
    let further: String = further.map(|dir| format!(", {}", dir.display())).collect();
    printable(&format!(
        "session {}\nbegan   {created} in {cwd}{further}\nmodel   {model} ({provider}), {agent}\n",
        header.session
    ))
}

/// A line for people; none for what they need not see.
fn readable(line: &Line) -> Option<String> {
    Some(match &line.event {
        Event::Prompt { parts, .. } => format!("\n> {}", indented(&said(parts), "> ")),
        Event::Reply { parts, usage, .. } => {
            let mut text = String::new();
            for part in parts {
                match &part.body {
                    Body::Thinking(thinking) if !thinking.text.trim().is_empty() => {
                        text.push_str(&format!(
                            "  (thinks) {}\n",
                            indented(thinking.text.trim(), "  ")
                        ));
                    }
                    Body::Text(said) | Body::Refusal(said) if !said.trim().is_empty() => {
                        text.push_str(&format!("{}\n", said.trim_end()));
                    }
                    _ => {}
                }
            }
            if let Some(usage) = usage {
                text.push_str(&format!(
                    "  [{} tokens in, {} out]",
                    usage.input, usage.output
                ));
            }
            text.trim_end().to_owned()
        }
        Event::Broken { text, .. } | Event::Withdrawn { text, .. } => {
            format!("{text}\n  [this reply broke off]")
        }
        Event::ToolCall { call } => format!("→ {}", call.title),
        Event::ToolResult {
            parts,
            failed,
            update,
            ..
        } => {
            let mark = if *failed { "✗" } else { "✓" };
            let diff = update
                .iter()
                .flat_map(|update| update.content.iter().flatten());
            let diff: Vec<String> = diff
                .filter_map(|content| match content {
                    ToolContent::Diff { path, .. } => Some(format!("  changed {path}")),
                    _ => None,
                })
                .collect();
            let text = if diff.is_empty() {
                said(parts)
            } else {
                diff.join("\n")
            };
            format!("  {mark} {}", indented(&bounded(&text), "    "))
        }
        Event::Plan { entries } => {
            let lines: Vec<String> = entries
                .iter()
                .map(|entry| {
                    let mark = match entry.status {
                        PlanStatus::Pending => " ",
                        PlanStatus::InProgress => "~",
                        PlanStatus::Completed => "x",
                    };
                    format!("  [{mark}] {}", entry.content)
                })
                .collect();
            lines.join("\n")
        }
        Event::Notice { notice } => format!("! {}", notice.text),
        Event::Setting { name, value } => format!("  [{name} is {value}]"),
        Event::Fact { name, value } => format!("  [{name}: {value}]"),
        Event::TurnEnd {
            end,
            error,
            requests,
            tool_calls,
            usage,
        } => {
            let why = error
                .as_ref()
                .map_or_else(String::new, |error| format!(": {error}"));
            format!(
                "— {} — {end}{why}; {requests} requests, {tool_calls} calls, {} tokens",
                time(line.at),
                usage.total
            )
        }
        Event::Resumed { agent, .. } => format!("— {} — went on under {agent}", time(line.at)),
        Event::Torn { bytes } => format!("! a line of {bytes} bytes was cut off and removed"),
        Event::Checkpoint { .. }
        | Event::Instructions { .. }
        | Event::Tools { .. }
        | Event::Compaction { .. } => return None,
    })
}

fn said(parts: &[Part]) -> String {
    let text = |part: &Part| match &part.body {
        Body::Text(text) => text.clone(),
        Body::Image(_) => "[image]".to_owned(),
        Body::Document { name, .. } => format!("[{}]", name.as_deref().unwrap_or("document")),
        _ => String::new(),
    };
    parts.iter().map(text).collect::<Vec<_>>().join("\n")
}

fn indented(text: &str, indent: &str) -> String {
    text.trim_end().replace('\n', &format!("\n{indent}"))
}

/// The first lines of a long result.
fn bounded(text: &str) -> String {
    const LINES: usize = 12;
    let lines: Vec<&str> = text.lines().collect();
    let mut shown = lines.get(..LINES).unwrap_or(&lines).join("\n");
    if lines.len() > LINES {
        shown.push_str(&format!("\n… ({} lines in all)", lines.len()));
    }
    shown
}

fn time(millis: u64) -> String {
    crate::serve::iso_8601(millis)
}

/// Goes through a session again.
pub(crate) async fn replay(args: ReplayArgs) -> Result<u8, String> {
    let records = Records::new(&args.record, None);
    let (header, entries) =
        transcript::events(records.root()?, &args.session).map_err(|error| error.to_string())?;
    let mut recording = Recording::default();
    for entry in entries {
        match entry {
            Entry::Line(line) => recording.take(line.event),
            Entry::Unreadable { line, why } => {
                return Err(format!("line {line} cannot be read: {why}"));
            }
            Entry::Header(_) | Entry::Torn { .. } => {}
        }
    }
    recording.cut_off();
    let printer = Printer::new(args.output);
    printer.begin(Some(&header.session));
    let model = Cli::model_of(&header)?;
    let mut conversation = conversation(&header, &model, recording.begin)?;
    conversation.remember(recording.results);
    let model = ModelClient::new(&model)?.recorded(Recorded::new(recording.replies));
    let cancel = CancellationToken::new();
    for step in recording.steps {
        match step {
            Step::Event(Event::Tools { tools }) => conversation.offer(tools),
            Step::Event(event) => conversation.session().commit(event),
            Step::Prompt(prompt) => {
                let ended = conversation.turn(&model, prompt, &printer, &cancel).await;
                printer.end(Some(&header.session), &ended);
            }
        }
    }
    let differences = model.differences();
    for difference in &differences {
        printer.step(&format!("sam-harness: {difference}"));
    }
    Ok(if differences.is_empty() {
        COMPLETE
    } else {
        FAILED
    })
}

/// The conversation at its beginning, unrecorded.
fn conversation(
    header: &Header,
    model: &ModelArgs,
    begin: Vec<Event>,
) -> Result<Conversation, String> {
    let workspace = Workspace::open(&header.cwd)
        .or_else(|_| Workspace::open(Path::new(".")))
        .map_err(|error| format!("no directory can be opened: {error}"))?;
    let mut session = Session::new(State::default(), None);
    for event in begin {
        session.commit(event);
    }
    let sandbox = Arc::new(Sandbox::new(&SandboxArgs::default())?);
    let guard = Arc::new(Guard::new(
        &GuardArgs::default(),
        PermissionMode::ReadOnly,
        sandbox,
    ));
    let groups = ProcessGroups::default();
    let tools = session.state().tools.clone();
    let limits = Limits::from(model);
    let mut conversation = Conversation::new(
        workspace,
        groups,
        guard,
        session,
        limits,
        &PromptOptions::default(),
    );
    conversation.offer(tools);
    Ok(conversation)
}

/// A session taken apart into what a replay is made of.
#[derive(Default)]
struct Recording {
    begin: Vec<Event>,
    replies: Vec<RecordedReply>,
    results: Remembered,
    steps: Vec<Step>,
    /// The events of the turn that is not over yet, its prompt first.
    turn: Vec<Event>,
}

enum Step {
    /// A whole turn.
    Prompt(Prompt),
    /// Something outside of turns, or of a turn whose process was ended.
    Event(Event),
}

impl Recording {
    fn take(&mut self, event: Event) {
        match event {
            Event::Prompt { .. } => {
                self.cut_off();
                self.turn.push(event);
            }
            Event::TurnEnd { end, .. } => self.turn_over(&end),
            Event::Resumed { .. } => self.cut_off(),
            event if !self.turn.is_empty() => self.turn.push(event),
            Event::Instructions { .. } | Event::Tools { .. } if self.steps.is_empty() => {
                self.begin.push(event);
            }
            Event::Compaction { .. } => {
                self.steps.push(Step::Prompt(COMPACT.to_owned().into()));
            }
            event => self.steps.push(Step::Event(event)),
        }
    }

    /// The turn's process was ended: its events stand as they are.
    fn cut_off(&mut self) {
        let events = self.turn.drain(..);
        self.steps.extend(events.map(Step::Event));
    }

    /// The turn ended by itself: it can be gone through again.
    fn turn_over(&mut self, end: &str) {
        let mut last = None;
        for event in self.turn.drain(..) {
            match event {
                Event::Prompt { parts, blocks } => {
                    self.steps.push(Step::Prompt(Prompt { parts, blocks }));
                }
                Event::Reply {
                    number,
                    parts,
                    usage,
                    stop,
                    request,
                    ..
                } => self.replies.push(RecordedReply {
                    number,
                    parts,
                    usage,
                    stop,
                    request,
                    came: Came::Whole,
                }),
                Event::Broken { number, text } => {
                    let came = match end {
                        "cancelled" | "max_seconds" => Came::Cancelled,
                        _ => Came::Broken,
                    };
                    let reply = RecordedReply::without(number, came);
                    let parts = vec![Part::text(text)];
                    self.replies.push(RecordedReply { parts, ..reply });
                }
                Event::Compaction { reason, .. } if reason == "refused" => {
                    self.replies
                        .push(RecordedReply::without(0, Came::RefusedAsTooLong));
                }
                Event::ToolResult {
                    call,
                    parts,
                    failed,
                    update,
                    files,
                    ..
                } => {
                    let text: String = parts.iter().filter_map(Part::as_text).collect();
                    // The loop adds its own word about repetitions again.
                    let text = text.split(notice::REPEATED).next().unwrap_or_default();
                    let output = ToolOutput {
                        text: text.to_owned(),
                        shown: update.and_then(|update| update.content),
                        failed,
                        files,
                        plan: None,
                    };
                    self.results.insert(call.clone(), output);
                    last = Some(call);
                }
                Event::Plan { entries } => {
                    let result = last.as_ref().and_then(|call| self.results.get_mut(call));
                    if let Some(result) = result {
                        result.plan = Some(entries);
                    }
                }
                event @ (Event::Tools { .. } | Event::Setting { .. }) => {
                    self.steps.push(Step::Event(event));
                }
                _ => {}
            }
        }
    }
}
