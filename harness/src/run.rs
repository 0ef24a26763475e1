//! `sam-harness run`: one prompt from a shell.
//!
//! Stdout carries the result in the form asked for, stderr the steps. An
//! interrupt cancels the turn; a second one ends its commands and the process
//! at once. Where a person looks on, nothing that is printed commands the
//! terminal; an answer that goes elsewhere is passed on as it is.

use std::io::{self, IsTerminal, Read, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sam_acp::{
    Notice, PermissionOption, PlanEntry, PlanStatus, ToolCall, ToolCallUpdate, ToolContent,
    ToolStatus,
};
use sam_domain::catalogue::price::MicroDollars;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::cli::{Output, ResumeArgs, RunArgs, TaskArgs};
use crate::ending::EndSignals;
use crate::guard::{Asked, Guard, PermissionMode, Person};
use crate::limits::{Limits, TurnEnd, TurnSummary};
use crate::mcp::Servers;
use crate::model::{ModelClient, ModelError, Step, Trouble};
use crate::printable::printable;
use crate::prompt::PromptOptions;
use crate::sandbox::Sandbox;
use crate::session::{Records, header};
use crate::tools::ProcessGroups;
use crate::turn::{Conversation, Observer, Prompt};
use crate::workspace::Workspace;
use crate::{CANCELLED, COMPLETE, FAILED, LIMIT, USAGE};

/// The longest prompt that is read from stdin.
const MAX_PROMPT: u64 = 16 * 1024 * 1024;

/// Works on a prompt; the exit code.
pub(crate) async fn run(args: RunArgs) -> Result<u8, String> {
    work(args.task, args.dir, args.resume).await
}

/// Goes on with a session; the exit code.
pub(crate) async fn resume(args: ResumeArgs) -> Result<u8, String> {
    work(args.task, None, Some(args.session)).await
}

async fn work(args: TaskArgs, dir: Option<PathBuf>, resume: Option<String>) -> Result<u8, String> {
    let model = ModelClient::new(&args.model)?;
    let prompt = match prompt(args.prompt) {
        Ok(prompt) => prompt,
        Err(why) => {
            eprintln!("sam-harness: {why}");
            return Ok(USAGE);
        }
    };
    let servers = Servers::new(&args.agent.mcp, &[])?;
    let records = Records::new(&args.record, Some(&args.model)).without(servers.secrets());
    let printer = Printer::new(args.output);
    let (session, workspace) = match resume {
        None => {
            let dir = dir.unwrap_or_else(|| PathBuf::from("."));
            let workspace = Workspace::with_further(&dir, &args.agent.add_dir)?;
            let header = header(&workspace, &args.model);
            let (session, unrecorded) = records.begin(header)?;
            if let Some(why) = unrecorded {
                printer.step(&format!("  {why}"));
            }
            (session, workspace)
        }
        Some(wanted) => {
            let session = records.resume(&wanted, &args.model);
            let session = session.map_err(|error| error.to_string())?;
            let (own, mut further) = match session.header() {
                Some(header) => {
                    let header = header.clone();
                    (Some(header.cwd), header.additional_directories)
                }
                None => (None, Vec::new()),
            };
            further.extend(args.agent.add_dir.iter().cloned());
            let dir = dir.or(own).unwrap_or_else(|| PathBuf::from("."));
            (session, Workspace::with_further(&dir, &further)?)
        }
    };
    let groups = ProcessGroups::default();
    let sandbox = Arc::new(Sandbox::new(&args.agent.guard.sandbox)?);
    let guard = Arc::new(Guard::new(&args.agent.guard, PermissionMode::Full, sandbox));
    let limits = Limits::from(&args.model);
    let options = PromptOptions::new(&args.agent.prompt)?;
    let groups_of = groups.clone();
    let mut conversation =
        Conversation::new(workspace, groups_of, guard, session, limits, &options);
    conversation.add_servers(servers);
    let id = conversation.session().id().map(str::to_owned);
    printer.begin(id.as_deref());
    let cancel = CancellationToken::new();
    cancel_on_signal(cancel.clone(), groups.clone())?;
    let turn = conversation.turn(&model, prompt, &printer, &cancel);
    let ended = turn.await;
    groups.kill();
    printer.end(id.as_deref(), &ended);
    Ok(exit_code(&ended))
}

/// The prompt given, or stdin's.
fn prompt(given: Option<String>) -> Result<Prompt, String> {
    let stdin = io::stdin();
    match given {
        Some(text) if text.trim().is_empty() => return Err("the prompt is empty".to_owned()),
        Some(text) if text != "-" => return Ok(text.into()),
        None if stdin.is_terminal() => {
            return Err("there is no prompt; give one with -p TEXT, or on stdin".to_owned());
        }
        Some(_) | None => {}
    }
    let mut text = String::new();
    let read = stdin.lock().take(MAX_PROMPT + 1).read_to_string(&mut text);
    read.map_err(|error| format!("the prompt cannot be read from stdin: {error}"))?;
    if u64::try_from(text.len()).unwrap_or(u64::MAX) > MAX_PROMPT {
        return Err(format!("the prompt is longer than {MAX_PROMPT} bytes"));
    }
    if text.trim().is_empty() {
        return Err("the prompt on stdin is empty".to_owned());
    }
    Ok(text.into())
}

/// The exit code of a turn that ended so.
pub(crate) fn exit_code(ended: &Result<TurnSummary, ModelError>) -> u8 {
    match ended {
        Ok(summary) => match summary.end {
            TurnEnd::Complete => COMPLETE,
            TurnEnd::MaxTokens
            | TurnEnd::MaxTurns
            | TurnEnd::MaxSeconds
            | TurnEnd::MaxTotalTokens
            | TurnEnd::MaxCost
            | TurnEnd::Repeating => LIMIT,
            TurnEnd::Refused => FAILED,
            TurnEnd::Cancelled => CANCELLED,
        },
        Err(_) => FAILED,
    }
}

fn cancel_on_signal(cancel: CancellationToken, groups: ProcessGroups) -> Result<(), String> {
    let mut signals = EndSignals::listen()?;
    tokio::spawn(async move {
        signals.next().await;
        cancel.cancel();
        signals.next().await;
        groups.kill();
        std::process::exit(i32::from(CANCELLED));
    });
    Ok(())
}

/// Prints a turn.
pub(crate) struct Printer {
    output: Output,
    /// Whether stdout is where a person also sees the steps.
    terminal: bool,
    /// The message whose text stdout's last line belongs to, while that line
    /// is not ended.
    open_line: Mutex<Option<String>>,
    /// The newest message, by its id, while it may be the answer: only that
    /// goes to a stdout that is no terminal.
    newest: Mutex<(String, String)>,
}

impl Printer {
    /// Nothing printed yet.
    pub(crate) fn new(output: Output) -> Self {
        Self {
            output,
            terminal: io::stdout().is_terminal(),
            open_line: Mutex::default(),
            newest: Mutex::default(),
        }
    }

    /// Says which session this is.
    pub(crate) fn begin(&self, session: Option<&str>) {
        self.event(&json!({"type": "session", "session": session}));
    }

    /// A reader that has left must not end the work.
    fn stdout(&self, text: &str) {
        let mut stdout = io::stdout().lock();
        let _ = stdout.write_all(text.as_bytes());
        let _ = stdout.flush();
    }

    fn event(&self, event: &Value) {
        if self.output == Output::StreamJson {
            self.stdout(&format!("{event}\n"));
        }
    }

    /// The newest message was not the answer: it is one of the steps.
    fn said_on_the_way(&self) {
        let (_, text) = std::mem::take(&mut *self.newest());
        if !text.trim().is_empty() {
            self.step(text.trim_end());
        }
    }

    fn newest(&self) -> MutexGuard<'_, (String, String)> {
        let guard = self.newest.lock();
        guard.unwrap_or_else(PoisonError::into_inner)
    }

    /// A line for people.
    pub(crate) fn step(&self, text: &str) {
        if self.terminal {
            self.end_line(&mut self.open_line());
        }
        let _ = writeln!(io::stderr(), "{}", printable(text));
    }

    fn open_line(&self) -> MutexGuard<'_, Option<String>> {
        let guard = self.open_line.lock();
        guard.unwrap_or_else(PoisonError::into_inner)
    }

    fn end_line(&self, open: &mut Option<String>) {
        if open.take().is_some() {
            self.stdout("\n");
        }
    }

    /// Prints how it ended.
    pub(crate) fn end(&self, session: Option<&str>, ended: &Result<TurnSummary, ModelError>) {
        self.end_line(&mut self.open_line());
        let (_, answer) = std::mem::take(&mut *self.newest());
        if !answer.is_empty() {
            let end = if answer.ends_with('\n') { "" } else { "\n" };
            self.stdout(&format!("{answer}{end}"));
        }
        let result = match ended {
            Ok(summary) => json!({
                "type": "result",
                "session": session,
                "stop_reason": summary.end.word(),
                "text": summary.text,
                "model_requests": summary.requests,
                "tool_calls": summary.tool_calls,
                "usage": summary.usage,
                "cost_micro_dollars": summary.cost,
                "reads": summary.reads,
                "rereads": summary.rereads,
            }),
            Err(error) => {
                let code = match error {
                    ModelError::Failed { kind, .. } => Some(kind.code()),
                    ModelError::Cancelled => None,
                };
                let said = error.to_string();
                json!({
                    "type": "result",
                    "session": session,
                    "stop_reason": "error",
                    "code": code,
                    "error": said,
                })
            }
        };
        match self.output {
            Output::Text => {}
            Output::Json | Output::StreamJson => self.stdout(&format!("{result}\n")),
        }
        match ended {
            Ok(summary) => match summary.end {
                TurnEnd::Complete => {}
                end => self.step(&format!("sam-harness: stopped: {}", end.word())),
            },
            Err(error) => {
                self.step(&format!("sam-harness: {error}"));
                if let ModelError::Failed { kind, .. } = error {
                    self.step(&format!("hint: {}", kind.hint()));
                }
            }
        }
    }
}

/// Why a call failed, in a line: our own words, or how a command ended.
fn why_failed(update: &ToolCallUpdate) -> Option<String> {
    const LONGEST: usize = 200;
    let text = update
        .content
        .iter()
        .flatten()
        .find_map(|part| match part {
            ToolContent::Text { text } => Some(text.trim()),
            _ => None,
        })?;
    let line = match text.strip_prefix("error: ") {
        Some(words) => words.lines().next(),
        None => text.lines().next_back(),
    }?;
    let line = line.trim_matches(['[', ']']);
    let more = line.chars().nth(LONGEST).map_or("", |_| "\u{2026}");
    let line: String = line.chars().take(LONGEST).collect();
    (!line.is_empty()).then(|| format!("{line}{more}"))
}

/// There is nobody at a headless run.
impl Person for Printer {
    fn ask<'a>(&'a self, _: &'a ToolCallUpdate, _: &'a [PermissionOption]) -> Asked<'a> {
        Box::pin(async { None })
    }
}

impl Observer for Printer {
    fn text(&self, message: &str, text: &str) {
        self.event(&json!({"type": "text", "message": message, "text": text}));
        if self.output == Output::Text && !self.terminal {
            if self.newest().0 != message {
                self.said_on_the_way();
            }
            let mut newest = self.newest();
            message.clone_into(&mut newest.0);
            newest.1.push_str(text);
        } else if self.output == Output::Text {
            let mut open = self.open_line();
            if open.as_deref().is_some_and(|open| open != message) {
                self.end_line(&mut open);
            }
            self.stdout(&printable(text));
            *open = (!text.ends_with('\n')).then(|| message.to_owned());
        }
    }

    fn thought(&self, message: &str, text: &str) {
        self.event(&json!({"type": "thought", "message": message, "text": text}));
    }

    fn tool_started(&self, call: &ToolCall) {
        self.event(&json!({"type": "tool_call", "call": call}));
        self.said_on_the_way();
        self.step(&format!("→ {}", call.title));
    }

    fn tool_changed(&self, update: &ToolCallUpdate) {
        self.event(&json!({"type": "tool_update", "update": update}));
        if update.status == Some(ToolStatus::Failed) {
            match why_failed(update) {
                Some(why) => self.step(&format!("  failed: {why}")),
                None => self.step("  failed"),
            }
        }
    }

    fn trouble(&self, id: &str, trouble: &Trouble<'_>) {
        let (step, time) = match trouble.step {
            Step::Wait(wait) => ("wait", wait),
            Step::WentOn(after) => ("went_on", after),
            Step::GaveUp(after) => ("gave_up", after),
        };
        self.event(&json!({
            "type": "trouble",
            "reply": id,
            "code": trouble.fault.kind.code(),
            "step": step,
            "seconds": time.as_secs_f64(),
            "failed_attempts": trouble.attempts,
            "text": trouble.to_string(),
        }));
        // How it ended without a reply is told at the end.
        if step != "gave_up" {
            self.step(&format!("  {trouble}"));
        }
    }

    fn stopped(&self, end: TurnEnd, why: &str) {
        self.event(&json!({"type": "stopped", "stop_reason": end.word(), "why": why}));
        self.step(&format!("  {why}"));
    }

    fn plan(&self, entries: &[PlanEntry]) {
        self.event(&json!({"type": "plan", "entries": entries}));
        for entry in entries {
            let mark = match entry.status {
                PlanStatus::Pending => " ",
                PlanStatus::InProgress => "~",
                PlanStatus::Completed => "x",
            };
            self.step(&format!("  [{mark}] {}", entry.content));
        }
    }

    fn context(&self, used: u64, cost: Option<MicroDollars>) {
        self.event(&json!({"type": "context", "used": used, "cost_micro_dollars": cost}));
    }

    fn notice(&self, notice: &Notice) {
        self.event(&json!({"type": "notice", "notice": notice}));
        self.step(&format!("  {}", notice.text));
    }
}
