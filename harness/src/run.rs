//! `sam-harness run`: one prompt from a shell.
//!
//! Stdout carries the result in the form asked for, stderr the steps. An
//! interrupt cancels the turn; a second one ends the process at once.

use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sam_acp::{PermissionOption, ToolCall, ToolCallUpdate, ToolStatus};
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::cli::{Output, RunArgs};
use crate::guard::{Asked, Guard, PermissionMode, Person};
use crate::model::{ModelClient, ModelError, Step, Trouble};
use crate::sandbox::Sandbox;
use crate::tools::ProcessGroups;
use crate::turn::{Conversation, Limits, Observer, TurnEnd, TurnSummary};
use crate::workspace::Workspace;
use crate::{CANCELLED, COMPLETE, FAILED, LIMIT};

/// Works on the prompt; the exit code.
pub(crate) async fn run(args: RunArgs) -> Result<u8, String> {
    let model = ModelClient::new(&args.model)?;
    let workspace = Workspace::open(&args.dir)
        .map_err(|error| format!("{} cannot be opened: {error}", args.dir.display()))?;
    let groups = ProcessGroups::default();
    let sandbox = Arc::new(Sandbox::new(&args.guard.sandbox)?);
    let guard = Guard::new(&args.guard, PermissionMode::Full, sandbox);
    let mut conversation =
        Conversation::new(workspace, groups.clone(), guard, Limits::from(&args.model));
    let cancel = CancellationToken::new();
    cancel_on_signal(cancel.clone())?;
    let printer = Printer {
        output: args.output,
        terminal: io::stdout().is_terminal(),
        open_line: Mutex::default(),
    };
    let ended = conversation
        .turn(&model, args.prompt, &printer, &cancel)
        .await;
    groups.kill();
    let code = match &ended {
        Ok(summary) => match summary.end {
            TurnEnd::Complete => COMPLETE,
            TurnEnd::MaxTokens
            | TurnEnd::MaxTurns
            | TurnEnd::MaxSeconds
            | TurnEnd::MaxTotalTokens
            | TurnEnd::Repeating => LIMIT,
            TurnEnd::Refused => FAILED,
            TurnEnd::Cancelled => CANCELLED,
        },
        Err(_) => FAILED,
    };
    printer.end(&ended);
    Ok(code)
}

fn cancel_on_signal(cancel: CancellationToken) -> Result<(), String> {
    let listen = |kind| signal(kind).map_err(|error| format!("cannot listen for signals: {error}"));
    let mut interrupt = listen(SignalKind::interrupt())?;
    let mut terminate = listen(SignalKind::terminate())?;
    tokio::spawn(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        cancel.cancel();
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        std::process::exit(i32::from(CANCELLED));
    });
    Ok(())
}

/// Prints a turn.
struct Printer {
    output: Output,
    /// Whether stdout is where a person also sees the steps.
    terminal: bool,
    /// The message whose text stdout's last line belongs to, while that line
    /// is not ended.
    open_line: Mutex<Option<String>>,
}

impl Printer {
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

    fn step(&self, text: &str) {
        if self.terminal {
            self.end_line(&mut self.open_line());
        }
        let _ = writeln!(io::stderr(), "{text}");
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

    fn end(&self, ended: &Result<TurnSummary, ModelError>) {
        self.end_line(&mut self.open_line());
        let result = match ended {
            Ok(summary) => json!({
                "type": "result",
                "stop_reason": summary.end.word(),
                "text": summary.text,
                "model_requests": summary.requests,
                "tool_calls": summary.tool_calls,
                "usage": summary.usage,
            }),
            Err(error) => {
                let code = match error {
                    ModelError::Failed { kind, .. } => Some(kind.code()),
                    ModelError::Cancelled => None,
                };
                let said = error.to_string();
                json!({"type": "result", "stop_reason": "error", "code": code, "error": said})
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

/// There is nobody at a headless run.
impl Person for Printer {
    fn ask<'a>(&'a self, _: &'a ToolCallUpdate, _: &'a [PermissionOption]) -> Asked<'a> {
        Box::pin(async { None })
    }
}

impl Observer for Printer {
    fn text(&self, message: &str, text: &str) {
        self.event(&json!({"type": "text", "message": message, "text": text}));
        if self.output == Output::Text {
            let mut open = self.open_line();
            if open.as_deref().is_some_and(|open| open != message) {
                self.end_line(&mut open);
            }
            self.stdout(text);
            *open = (!text.ends_with('\n')).then(|| message.to_owned());
        }
    }

    fn thought(&self, message: &str, text: &str) {
        self.event(&json!({"type": "thought", "message": message, "text": text}));
    }

    fn tool_started(&self, call: &ToolCall) {
        self.event(&json!({"type": "tool_call", "call": call}));
        self.step(&format!("→ {}", call.title));
    }

    fn tool_changed(&self, update: &ToolCallUpdate) {
        self.event(&json!({"type": "tool_update", "update": update}));
        if update.status == Some(ToolStatus::Failed) {
            self.step("  failed");
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
}
