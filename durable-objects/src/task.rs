//! TaskRunner: a task and its attempts.

#![expect(
    missing_docs,
    reason = "the attribute of the class writes methods without documentation"
)]

use std::rc::Rc;

use sam_domain::actor::{Actor, Address, Envelope};
use sam_domain::error::ApiError;
use sam_domain::id::TaskId;
use sam_domain::task::call::TaskCall;
use sam_domain::task::state::Task;
use sam_domain::task::step::{TaskLocal, TaskMachine};
use sam_domain::task::{TaskState, TaskView};
use sam_platform::objects::Class;
use sam_platform::probe::Event;
use worker::{DurableObject, Env, Request, Response, State, durable_object};

use crate::object::{self, Asked};
use crate::shell::{Shell, ShellError};

type TaskShell = Shell<TaskMachine>;

/// The object of one task, named by its id.
#[durable_object(alarm)]
pub struct TaskRunner {
    shell: Result<Rc<TaskShell>, String>,
}

impl DurableObject for TaskRunner {
    fn new(state: State, env: Env) -> Self {
        Self {
            shell: Shell::open(&state, env, Class::TaskRunner)
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

async fn serve(shell: &Rc<TaskShell>, request: &Request) -> Response {
    match object::asked(request) {
        Ok(Asked::Call) => match object::read_call(&shell.probe, request).await {
            Ok(call) => object::answer(self::call(shell, call)),
            Err(error) => object::refused(&error),
        },
        Ok(Asked::Inbox) => match object::read_call(&shell.probe, request).await {
            Ok(envelope) => object::answer(inbox(shell, envelope)),
            Err(error) => object::refused(&error),
        },
        #[cfg(feature = "fault-injection")]
        Ok(Asked::Fault(fault)) => crate::faults::fault(shell, fault).await,
        Ok(_) => object::refused(&ApiError::not_found("socket")),
        Err(error) => object::refused(&error),
    }
}

fn inbox(shell: &Rc<TaskShell>, envelope: Envelope) -> Result<String, ShellError> {
    let (receipt, ()) = shell.take_in(envelope, |_, _, _| Ok(()))?;
    object::text(&receipt)
}

fn wake(shell: &TaskShell, key: &str) -> Result<(), ShellError> {
    let Some(actor) = shell.load(key)? else {
        return Ok(());
    };
    shell.turn(&actor.address, |actor, turn| {
        Ok((actor.wake::<TaskMachine>(turn).changed, ()))
    })
}

fn call(shell: &Rc<TaskShell>, call: TaskCall) -> Result<String, ShellError> {
    let address = address(shell)?;
    let view = shell.turn(&address, |actor, turn| {
        let view = view(actor)?;
        let local = match call {
            TaskCall::Get => return Ok((false, view)),
            TaskCall::Cancel { .. } if view.state.is_terminal() => return Ok((false, view)),
            TaskCall::Cancel { by } => TaskLocal::Cancel { by },
            // It was closed before; the answer may have been lost.
            TaskCall::Close { .. }
                if matches!(view.state, TaskState::Finishing | TaskState::Completed) =>
            {
                return Ok((false, view));
            }
            TaskCall::Close { .. } if !actor.state.can_close() => {
                return Err(ApiError::conflict(
                    "not_open",
                    "This task does not wait for a person, so it cannot be closed.",
                )
                .hint("Cancel it instead, or wait until the agent's turn is over.")
                .into());
            }
            TaskCall::Close { by } => TaskLocal::Close { by },
            TaskCall::ModelWaits { attempt, until } => TaskLocal::ModelWaits { attempt, until },
            TaskCall::BudgetNear { holder, warning } => TaskLocal::BudgetNear { holder, warning },
            TaskCall::SetTitle { title } => TaskLocal::SetTitle { title },
        };
        let changed = actor.local::<TaskMachine>(turn, local).changed;
        Ok((changed, self::view(actor)?))
    })?;
    shell.host.deliver_soon();
    object::text(&view)
}

fn view(actor: &Actor<Task>) -> Result<TaskView, ShellError> {
    actor
        .state
        .view()
        .ok_or_else(|| ApiError::not_found("task").into())
}

/// The address of the one task that is stored here.
fn address(shell: &TaskShell) -> Result<Address, ShellError> {
    let missing = || ShellError::from(ApiError::not_found("task"));
    let key = shell.only_key()?.ok_or_else(missing)?;
    let id: TaskId = key.parse().map_err(|_| missing())?;
    Ok(Address::Task(id))
}
