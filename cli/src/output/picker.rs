//! Asking which, where none was named.

use super::text;
use crate::error::Failure;
use dialoguer::Select;
use dialoguer::console::Term;
use std::io;
use tokio::signal::unix::{SignalKind, signal};

/// Things that are shown at once.
const SHOWN: usize = 15;

/// Lets the person at the terminal choose one of these lines; returns its index.
/// Keys: arrows, space or return to choose, escape or `q` or Ctrl-C to choose none.
pub(crate) fn choose(question: &str, lines: &[String], columns: usize) -> Result<usize, Failure> {
    // Ctrl-C has to come back here, or the cursor would stay hidden.
    let interrupts = signal(SignalKind::interrupt());
    let terminal = Term::stderr();
    // What wrapped could not be redrawn; the marker before a line takes two columns.
    let room = columns.saturating_sub(3);
    let lines = lines
        .iter()
        .map(|line| text::fit(&text::clean_line(line), room));
    let chosen = Select::new()
        .with_prompt(question.trim_end_matches('?'))
        .items(lines)
        .default(0)
        .max_length(SHOWN)
        .interact_on_opt(&terminal);
    drop(interrupts);
    super::pager::ends_by_interrupt();
    match chosen {
        Ok(Some(index)) => Ok(index),
        Ok(None) => Err(Failure::NoneChosen),
        Err(dialoguer::Error::IO(error)) => {
            let _ = terminal.show_cursor();
            Err(match error.kind() {
                io::ErrorKind::Interrupted => Failure::NoneChosen,
                _ => Failure::local("Could not ask on the terminal", &error),
            })
        }
    }
}
