//! The job "answer a question about the code".

use super::replay::{Replay, Step};
use crate::wire::Reply;

/// Does the job as far as the conversation allows.
pub(crate) fn run(replay: &mut Replay<'_>, text: &str) -> Step<Reply> {
    super::other::run(replay, text)
}
