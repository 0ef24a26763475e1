//! The feed has no gap and no duplicate: whoever says that it is up to date
//! holds what is stored, over both kinds of cursor, and in the end all do.

use super::Held;
use crate::world::World;

#[derive(Default)]
pub(crate) struct Feeds {
    broken: Option<String>,
}

impl Feeds {
    /// What a comparison of a follower with the store said.
    pub(crate) fn heard(&mut self, agrees: Held) {
        if let Err(broken) = agrees {
            self.broken = Some(broken);
        }
    }
}

pub(super) fn seen(world: &mut World) -> Held {
    world.ledger.feed.broken.take().map_or(Ok(()), Err)
}

pub(super) fn at_rest(world: &World) -> Held {
    world.feed.as_ref().map_or(Ok(()), |feed| feed.at_rest())
}
