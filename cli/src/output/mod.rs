//! Printing: data to stdout, hints to stderr, colour only where it is seen.

pub(crate) mod pager;
pub(crate) mod picker;
pub(crate) mod style;
pub(crate) mod table;
pub(crate) mod text;
pub(crate) mod time;

use crate::error::Failure;
use crate::secret::scrub;
use pager::Pager;
use serde::Serialize;
use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write as _};
use style::{Paint, Style};
use table::Cell;

/// How this run prints.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    /// Data as JSON.
    pub(crate) json: bool,
    /// Colours of stdout.
    pub(crate) style: Style,
    /// Columns of the terminal on stdout; absent when it is no terminal.
    pub(crate) columns: Option<usize>,
    /// Whether what is long may go to a pager.
    paged: bool,
}

impl Output {
    /// Looks at stdout and the environment.
    pub(crate) fn detect(json: bool, paged: bool) -> Self {
        let stdout = io::stdout();
        let terminal = stdout.is_terminal() && std::env::var_os("TERM").is_none_or(|t| t != "dumb");
        Self {
            json,
            style: Style::new(terminal && colour_wanted()),
            columns: terminal.then(|| columns(stdout)),
            paged,
        }
    }

    /// Opens a pager for what may be longer than the screen, until it is dropped: where a person
    /// reads, and unless they want none.
    pub(crate) fn pager(&self) -> Option<Pager> {
        (self.paged && !self.json && self.columns.is_some())
            .then(Pager::open)
            .flatten()
    }

    /// Whether somebody sits at a terminal who can be asked.
    pub(crate) fn can_ask(&self) -> bool {
        !self.json
            && self.columns.is_some()
            && io::stdin().is_terminal()
            && io::stderr().is_terminal()
    }

    /// Prints a line of data.
    pub(crate) fn line(&self, line: &str) -> Result<(), Failure> {
        self.raw(&format!("{line}\n"))
    }

    /// Prints text as it is.
    pub(crate) fn raw(&self, text: &str) -> Result<(), Failure> {
        self.bytes(text.as_bytes())
    }

    /// Prints bytes as they are.
    pub(crate) fn bytes(&self, bytes: &[u8]) -> Result<(), Failure> {
        let mut stdout = io::stdout().lock();
        match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
            // Who ends the pager has read enough.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe && pager::is_open() => Ok(()),
            Err(error) => Err(Failure::local("Could not print", &error)),
            Ok(()) => Ok(()),
        }
    }

    /// Prints a table, cut to the terminal; in a pager where it is long.
    pub(crate) fn table(&self, headings: &[&str], rows: &[Vec<Cell>]) -> Result<(), Failure> {
        let _pager = self.pager();
        let mut lines = table::lines(self.style, self.columns, headings, rows).into_iter();
        lines.try_for_each(|line| self.line(&line))
    }

    /// Prints names and values below each other.
    pub(crate) fn facts(&self, facts: &[(&str, String)]) -> Result<(), Failure> {
        let mut lines = table::facts(self.style, facts).into_iter();
        lines.try_for_each(|line| self.line(&line))
    }

    /// Prints a value as indented JSON.
    pub(crate) fn value<T: Serialize>(&self, value: &T) -> Result<(), Failure> {
        let text = serde_json::to_string_pretty(value)
            .map_err(|error| Failure::local("Could not print", &io::Error::other(error)))?;
        self.line(&text::harmless_json(&text))
    }

    /// Prints a value as one line of JSON.
    pub(crate) fn event<T: Serialize>(&self, value: &T) -> Result<(), Failure> {
        let text = serde_json::to_string(value)
            .map_err(|error| Failure::local("Could not print", &io::Error::other(error)))?;
        self.line(&text::harmless_json(&text))
    }

    /// A remark for people, on stderr; none in JSON mode.
    pub(crate) fn hint(&self, text: &str) {
        if !self.json {
            note(text);
        }
    }
}

/// Prints a remark on stderr. That nobody reads it is no failure.
pub(crate) fn note(text: &str) {
    let style = stderr_style();
    let text = text::clean(&scrub(text));
    let _ = writeln!(io::stderr(), "{}", style.paint(Paint::Muted, &text));
}

/// What goes on, on stderr: one line that is redrawn on a terminal, and said once elsewhere.
#[derive(Debug)]
pub(crate) struct Progress {
    what: &'static str,
    /// Columns of the terminal on stderr; absent when it is no terminal.
    columns: Option<usize>,
}

/// Begins to show what goes on.
pub(crate) fn progress(what: &'static str) -> Progress {
    let columns = io::stderr().is_terminal().then(|| columns(io::stderr()));
    if columns.is_none() {
        note(&format!("{what}…"));
    }
    Progress { what, columns }
}

impl Progress {
    /// Shows how it stands.
    pub(crate) fn update(&self, detail: &str) {
        if let Some(columns) = self.columns {
            let style = stderr_style();
            // A line that went on in the next one could not be redrawn.
            let text = text::fit(
                &format!("{}… {detail}", self.what),
                columns.saturating_sub(1),
            );
            let _ = write!(
                io::stderr(),
                "\r\x1b[2K{}",
                style.paint(Paint::Muted, &text)
            );
        }
    }

    /// Says something beside it.
    pub(crate) fn say(&self, text: &str) {
        self.clear();
        note(text);
    }

    fn clear(&self) {
        if self.columns.is_some() {
            let _ = write!(io::stderr(), "\r\x1b[2K");
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}

/// The text that tells of a failure: what failed, what to do, the request's id.
pub(crate) fn failure(failure: &Failure, json: bool) -> String {
    let message = scrub(&failure.to_string());
    let hint = failure.hint().map(scrub);
    let request = match failure {
        Failure::Api(error) => error.request_id.clone(),
        _ => None,
    };
    if json {
        let mut error = serde_json::json!({
            "code": failure.code(),
            "message": message,
            "exit_code": failure.exit().code(),
        });
        if let Some(fields) = error.as_object_mut() {
            fields.extend(hint.map(|h| ("hint".to_owned(), h.into())));
            fields.extend(request.map(|r| ("request_id".to_owned(), r.into())));
        }
        let text = serde_json::json!({ "error": error }).to_string();
        return format!("{}\n", text::harmless_json(&text));
    }
    let style = stderr_style();
    let mut out = String::new();
    let _ = writeln!(
        out,
        "{} {}",
        style.paint(Paint::Danger, "error:"),
        text::clean(&message)
    );
    if let Some(hint) = hint {
        let _ = writeln!(
            out,
            "{} {}",
            style.paint(Paint::Info, "hint:"),
            text::clean(&hint)
        );
    }
    if let Some(request) = request {
        let _ = writeln!(out, "request: {}", text::clean(&request));
    }
    out
}

fn colour_wanted() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

fn stderr_style() -> Style {
    Style::new(io::stderr().is_terminal() && colour_wanted())
}

/// Columns used where the terminal does not say.
const DEFAULT_COLUMNS: usize = 80;

#[cfg(unix)]
fn columns(terminal: impl std::os::fd::AsFd) -> usize {
    rustix::termios::tcgetwinsize(terminal)
        .ok()
        .map(|size| usize::from(size.ws_col))
        .filter(|columns| *columns > 0)
        .unwrap_or(DEFAULT_COLUMNS)
}

#[cfg(not(unix))]
fn columns<T>(_: T) -> usize {
    DEFAULT_COLUMNS
}
