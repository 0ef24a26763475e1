//! NodePool: who gets which of a person's machines.

#![expect(
    missing_docs,
    reason = "the attribute of the class writes methods without documentation"
)]

use std::rc::Rc;

use sam_domain::actor::Envelope;
use sam_domain::error::ApiError;
use sam_domain::pool::step::PoolMachine;
use sam_platform::objects::Class;
use sam_platform::probe::Event;
use worker::{DurableObject, Env, Request, Response, State, durable_object};

use crate::object::{self, Asked};
use crate::shell::{Shell, ShellError};

type PoolShell = Shell<PoolMachine>;

/// The object of one person's pool, named by the person's id.
#[durable_object(alarm)]
pub struct NodePool {
    shell: Result<Rc<PoolShell>, String>,
}

impl DurableObject for NodePool {
    fn new(state: State, env: Env) -> Self {
        Self {
            shell: Shell::open(&state, env, Class::NodePool)
                .map(Rc::new)
                .map_err(|error| error.to_string()),
        }
    }

    async fn fetch(&self, request: Request) -> worker::Result<Response> {
        Ok(match &self.shell {
            Ok(shell) => object::request(&shell.probe, &request, serve(shell, &request)).await,
            Err(cause) => object::broken(cause),
        })
    }

    async fn alarm(&self) -> worker::Result<Response> {
        if let Ok(shell) = &self.shell {
            let woken = Rc::clone(shell);
            let work = Rc::clone(&shell.host).alarmed(Box::new(move |key| wake(&woken, key)));
            shell.probe.event(Event::Alarm, work).await;
        }
        Ok(object::done())
    }
}

async fn serve(shell: &Rc<PoolShell>, request: &Request) -> Response {
    match object::asked(request) {
        Ok(Asked::Inbox) => match object::read_call(&shell.probe, request).await {
            Ok(envelope) => object::answer(inbox(shell, envelope)),
            Err(error) => object::refused(&error),
        },
        #[cfg(feature = "fault-injection")]
        Ok(Asked::Fault(fault)) => crate::faults::fault(shell, fault).await,
        Ok(_) => object::refused(&ApiError::not_found("call")),
        Err(error) => object::refused(&error),
    }
}

fn inbox(shell: &Rc<PoolShell>, envelope: Envelope) -> Result<String, ShellError> {
    let (receipt, ()) = shell.take_in(envelope, |_, _, _| Ok(()))?;
    object::text(&receipt)
}

fn wake(shell: &PoolShell, key: &str) -> Result<(), ShellError> {
    let Some(actor) = shell.load(key)? else {
        return Ok(());
    };
    shell.turn(&actor.address, |actor, turn| {
        Ok((actor.wake::<PoolMachine>(turn).changed, ()))
    })
}
