//! The scripted model: fixed rules that read a conversation and give its next answer.
//!
//! It can repair a JavaScript project with a failing test ([`fix`]), say why a test fails ([`diagnosis`]), rename a name
//! everywhere ([`rename`]), get a command to succeed ([`recover`]), and answer a question about code ([`question`]). For anything else it looks around and says what it cannot do. It knows nothing but the request: no
//! file names, no task, no state from an earlier request; see [`replay`] for how it goes on where it stopped. It
//! refuses to know which client is asking; [`toolbox`] recognises tools by their schemas.

mod diagnosis;
pub(crate) mod exam;
mod fix;
pub(crate) mod observation;
mod other;
mod question;
mod recover;
mod rename;
mod replay;
mod task;
mod toolbox;
mod tree;

use self::replay::Replay;
use self::task::{Job, Task};
use self::toolbox::Toolbox;
use crate::conversation::{Reply, Request};

/// The answer to a request; the same request always gets the same answer.
pub(crate) fn answer(request: &Request) -> Reply {
    if request.tools.is_empty() {
        return other::without_tools(request);
    }
    let task = Task::of(&request.messages);
    let mut replay = Replay::new(Toolbox::new(&request.tools), &request.messages, task.start);
    let answer = match &task.job {
        Job::Diagnosis(file) => diagnosis::run(&mut replay, file),
        Job::Rename(renaming) => rename::run(&mut replay, renaming),
        Job::Recover(command) => recover::run(&mut replay, command),
        Job::Repair => fix::run(&mut replay),
        Job::Question => question::run(&mut replay, &task.text),
        Job::Other => other::run(&mut replay, &task.text),
    };
    answer.unwrap_or_else(|unfinished| *unfinished)
}
