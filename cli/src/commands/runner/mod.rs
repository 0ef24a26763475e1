//! `sam runner …`: this machine as one that does the work.
//!
//! Model: a runner is a state directory, in it the vm-agent's own folder and a
//! record of which node this is ([`record`]), and perhaps a unit of systemd's
//! that runs the vm-agent on it ([`unit`]). Each profile has a runner of its
//! own. Which machines there are, the server knows; a runner that it forgot is
//! none.
//!
//! Invariants:
//! - The join token goes to the vm-agent by its environment and is nowhere else.
//! - Leaving tells the server first: what was not told stays, to be tried again.
//! - Only files that this program or the vm-agent made are removed.
//!
//! What the vm-agent does once it runs is its own matter.

mod doctor;
mod leave;
mod place;
mod programs;
mod record;
mod register;
mod status;
mod systemd;
mod unit;

use crate::args::runner::Runner;
use crate::context::Context;
use crate::error::{Exit, Failure};
use place::Here;

pub(super) async fn run(context: &Context, command: Runner) -> Result<Exit, Failure> {
    let profile = context.settings.profile();
    match command {
        Runner::Doctor { programs } => doctor::run(context, &programs).await,
        Runner::Install {
            place,
            programs,
            work,
            run_as,
            print,
        } => {
            let here = Here::of(&place, profile)?;
            let asked = unit::Asked {
                programs: &programs,
                work: &work,
                run_as,
                print,
            };
            unit::install(context, &here, asked).await
        }
        Runner::Register {
            place,
            programs,
            work,
            name,
            foreground,
        } => {
            let here = Here::of(&place, profile)?;
            let asked = register::Asked {
                programs: &programs,
                work: &work,
                name,
                foreground,
            };
            register::run(context, &here, asked).await
        }
        Runner::Status { place } => status::run(context, &Here::of(&place, profile)?).await,
        Runner::Unregister {
            place,
            force,
            keep_service,
        } => leave::run(context, &Here::of(&place, profile)?, force, keep_service).await,
    }
}
