//! One task on one machine with one place, brought to a moment and from there to its end.

use std::os::unix::process::ExitStatusExt as _;

use rustix::process::Signal;
use sam_domain::conversation::row::{Row, RowBody, RowUpsert, ToolStatus};
use sam_domain::conversation::wire::PromptState;
use sam_domain::id::RowId;
use sam_domain::task::{TaskState, TaskView};
use sam_e2e::conversation::{PATIENCE, tools};
use sam_e2e::disk::Records;
use sam_e2e::git_server::{GitServer, Service};
use sam_e2e::machine::{self, Running};
use sam_e2e::{Disk, Result, Stack, StackOptions, Wire, Work, ensure, failure, wait_until};
use serde_json::json;

use crate::checks::{self, GO_ON, REPAIR};
use crate::gates::{Gate, SlowStart};
use crate::table::Case;

/// The machine's name.
pub(crate) const MACHINE: &str = "machine";

/// How far the task is when something fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    /// Git fetches the repository.
    Preparing,
    /// The agent was started and has not said a word.
    Starting,
    /// The model is in the middle of a sentence.
    Speaking,
    /// A command of the agent's runs, and something that it started and let go.
    Tool,
    /// The command has ended, and its row is on the machine's disk and got no further, because the
    /// control plane stands still.
    Outbox,
    /// Git pushes the branch.
    Finishing,
}

/// What a scene is made with.
#[derive(Debug, Default)]
pub(crate) struct Setting {
    /// The link's lease in seconds, where it is not the standard one.
    pub(crate) lease: Option<u32>,
    /// Whether the machine reaches the server through a wire.
    pub(crate) wired: bool,
}

/// A task and everything it runs on.
pub(crate) struct Scene {
    // Dropped first: what stands still cannot be stopped.
    frozen: Frozen,
    pub(crate) stack: Stack,
    pub(crate) work: Work,
    pub(crate) git: GitServer,
    pub(crate) gate: Gate,
    pub(crate) wire: Option<Wire>,
    slow: SlowStart,
    /// Rows that were there when the moment was reached.
    before: Vec<Row>,
    /// The task as it was then.
    pub(crate) then: TaskView,
    /// The tool call that was open then.
    tool: Option<RowId>,
}

/// Processes that stand still; whatever comes of the test, they go on again.
#[derive(Default)]
struct Frozen(Vec<Running>);

impl Frozen {
    fn thaw(&mut self) {
        for process in self.0.drain(..) {
            process.signal(Signal::CONT);
        }
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        self.thaw();
    }
}

impl Scene {
    /// Starts everything and waits until the task is at the moment.
    pub(crate) async fn at(moment: Moment, setting: Setting) -> Result<Self> {
        let mut options = StackOptions {
            max_workspaces: Some(1),
            ..StackOptions::default()
        };
        if let Some(lease) = setting.lease {
            let lease = ("SAM_LINK_LEASE".to_owned(), lease.to_string());
            options.settings.push(lease);
        }
        let mut stack = Stack::start_with(options).await?;
        let wire = if setting.wired {
            let wire = Wire::to(stack.port()).await?;
            stack.machines_dial(&wire.url());
            Some(wire)
        } else {
            None
        };
        Self::on(stack, wire, moment).await
    }

    /// The same on a stack that is there.
    pub(crate) async fn on(mut stack: Stack, wire: Option<Wire>, moment: Moment) -> Result<Self> {
        let gate = Gate::make(stack.directory(), "inkwell")?;
        let slow = SlowStart::make(stack.directory())?;
        let git = GitServer::start(stack.directory()).await?;
        if moment != Moment::Starting {
            slow.open()?;
        }
        if !matches!(moment, Moment::Tool | Moment::Outbox) {
            gate.open()?;
        }
        match moment {
            Moment::Preparing => git.hold(Service::UploadPack),
            Moment::Finishing => git.hold(Service::ReceivePack),
            Moment::Speaking => {
                let hold = json!({"kind": "hold", "after_chunks": 3, "skip": 3, "tools": true});
                stack.gateway().fault(&hold).await?;
            }
            Moment::Starting | Moment::Tool | Moment::Outbox => {}
        }
        stack.start_node(MACHINE, &[&slow.folder]).await?;
        let task = json!({"prompt": REPAIR});
        let work = Work::begin(&stack, &git.url("inkwell.git"), &task).await?;
        let mut scene = Self {
            then: work.view().await?,
            stack,
            work,
            git,
            gate,
            wire,
            slow,
            before: Vec::new(),
            tool: None,
            frozen: Frozen::default(),
        };
        scene.reach(moment).await?;
        Ok(scene)
    }

    async fn reach(&mut self, moment: Moment) -> Result {
        let state = match moment {
            Moment::Preparing => {
                self.git.until_held(PATIENCE).await?;
                TaskState::Preparing
            }
            Moment::Starting => {
                self.slow.until_reached().await?;
                TaskState::Starting
            }
            Moment::Speaking => {
                let held = |request: &serde_json::Value| request["held"] == true;
                let gateway = self.stack.gateway();
                gateway.until("the model is held", PATIENCE, held).await?;
                TaskState::Running
            }
            Moment::Tool | Moment::Outbox => {
                let left = self.gate.until_reached().await?;
                let started = self.disk().started()?;
                ensure(started.contains(&left), || {
                    format!("{left:?} is not among {started:#?}")
                })?;
                TaskState::Running
            }
            Moment::Finishing => {
                self.git.until_held(PATIENCE).await?;
                TaskState::Finishing
            }
        };
        self.then = self.work.until(state).await?;
        if state == TaskState::Running {
            wait_until("the prompt runs", PATIENCE, || async {
                let prompt = self.work.last_prompt().await?;
                Ok((prompt.state == PromptState::Running).then_some(()))
            })
            .await?;
        }
        self.before = self.work.rows().await?;
        if matches!(moment, Moment::Tool | Moment::Outbox) {
            self.before = wait_until("the tool call is told", PATIENCE, || async {
                let rows = self.work.rows().await?;
                Ok(open_tool(&rows).is_some().then_some(rows))
            })
            .await?;
            self.tool = open_tool(&self.before).cloned();
        }
        if moment == Moment::Outbox {
            let runtime = self.stack.workerd_id()?;
            self.freeze(runtime)?;
            self.gate.open()?;
            self.until_owed().await?;
        }
        Ok(())
    }

    /// The machine's disk.
    pub(crate) fn disk(&self) -> Disk {
        self.stack.disk(MACHINE)
    }

    /// Stops a process where it stands.
    pub(crate) fn freeze(&mut self, id: u32) -> Result {
        let process = machine::process(id).ok_or_else(|| failure(format!("{id} is gone")))?;
        process.signal(Signal::STOP);
        self.frozen.0.push(process);
        Ok(())
    }

    /// Lets it go on.
    pub(crate) fn thaw(&mut self) {
        self.frozen.thaw();
    }

    /// Waits until the vm-agent owes the end of the tool call.
    pub(crate) async fn until_owed(&self) -> Result {
        let disk = self.disk();
        wait_until("the tool's end is on the disk", PATIENCE, || async {
            let owed = disk.records()?.owed;
            let ended = owed.iter().any(|row| {
                Some(&row.id) == self.tool.as_ref()
                    && matches!(&row.body, RowBody::Tool(tool) if tool.status.is_terminal())
            });
            Ok(ended.then_some(()))
        })
        .await
    }

    /// What runs below the vm-agent, and whatever else it started.
    pub(crate) fn agents(&mut self) -> Result<Vec<Running>> {
        let mut found = self.disk().started()?;
        found.extend(machine::below(self.stack.node_process()?.id()));
        found.sort();
        found.dedup();
        Ok(found)
    }

    /// The one of them that is the agent.
    pub(crate) fn agent(&mut self) -> Result<Running> {
        let agents = self.agents()?;
        agents
            .iter()
            .find(|process| is_agent(process))
            .cloned()
            .ok_or_else(|| failure(format!("no agent among {agents:#?}")))
    }

    /// Kills the vm-agent; everything it started goes with it. Returns what its disk says.
    pub(crate) async fn kill_vm_agent(&mut self) -> Result<Records> {
        let agents = self.agents()?;
        let status = self.stack.node_process()?.kill()?;
        self.thaw();
        ensure(status.signal() == Some(9), || {
            format!("the vm-agent ended with {status}")
        })?;
        // Nobody tells them to: they end because the vm-agent is gone.
        checks::until_gone(&agents).await?;
        ensure(self.disk().started()?.is_empty(), || {
            "something outlived the vm-agent".to_owned()
        })?;
        self.disk().records()
    }

    /// Starts the vm-agent again on its disk.
    pub(crate) fn restart_vm_agent(&mut self) -> Result {
        self.stack.restart_node(MACHINE, &[&self.slow.folder])
    }

    /// Nothing holds the task up any more.
    pub(crate) async fn let_go(&mut self) -> Result {
        self.thaw();
        self.gate.open()?;
        self.slow.open()?;
        self.git.release();
        self.stack.gateway().release().await
    }

    /// The task goes to the end that the table says, and everything is as it has to be then.
    /// `held` is what was on the vm-agent's disk when it died, `also_seen` what a person saw
    /// outside of the conversation.
    pub(crate) async fn end(
        mut self,
        case: &Case,
        held: Option<&Records>,
        also_seen: &[String],
    ) -> Result {
        let mut said = vec![REPAIR];
        if case.asks {
            let interrupted = self.asked().await?;
            if let Some(held) = held {
                check_from_disk(&interrupted, &held.owed, &held.growing)?;
            }
            self.work.say(GO_ON).await?;
            said.push(GO_ON);
            self.before = interrupted;
        }
        let view = self
            .work
            .until_view("over", |view| view.state.is_terminal())
            .await?;
        let rows = checks::rows(&self.work, &self.before, &said).await?;
        case.check(&view, &rows, also_seen)?;
        if view.state == TaskState::Completed {
            ensure(
                view.id == self.then.id
                    && view.attempt == 1
                    && view.workspace == self.then.workspace
                    && !view.rows_incomplete,
                || format!("{:?}\n{view:?}", self.then),
            )?;
            checks::branch(&self.gate.repository, &view)?;
            let diff = self.work.diff().await?;
            ensure(diff.matches("days <= band.lastDay").count() == 1, || diff)?;
        }
        if view.state == TaskState::Completed && !case.asks {
            ensure(checks::begun(&self.stack, REPAIR).await? == 1, || {
                "the prompt was not given to an agent once".to_owned()
            })?;
            checks::texts(&self.stack, &rows).await?;
        }
        self.stack.until_empty(MACHINE).await?;
        checks::place_is_free(&mut self.stack, &self.work).await?;
        self.stack.end().await
    }

    /// The person is asked, once; nothing goes on by itself. Returns the rows.
    async fn asked(&mut self) -> Result<Vec<Row>> {
        let view = checks::until_asked(&self.work).await?;
        ensure(view.workspace == self.then.workspace, || {
            format!("{view:?}")
        })?;
        self.stack.until_quiet(MACHINE).await?;
        let rows = checks::rows(&self.work, &self.before, &[REPAIR]).await?;
        let interrupted = tools(&rows)
            .iter()
            .filter(|tool| tool.status == ToolStatus::Interrupted)
            .count();
        let ended = self
            .tool
            .as_ref()
            .map(|tool| checks::only(&rows, tool))
            .transpose()?;
        let open = ended.is_some_and(|row| {
            matches!(&row.body, RowBody::Tool(tool) if tool.status == ToolStatus::Interrupted)
        });
        ensure(interrupted <= usize::from(open), || {
            format!("{interrupted} calls are interrupted: {rows:#?}")
        })?;
        ensure(checks::begun(&self.stack, REPAIR).await? == 1, || {
            "the prompt was given to an agent again".to_owned()
        })?;
        Ok(rows)
    }
}

/// Whether it is an agent: the program, or the script that is to become it.
pub(crate) fn is_agent(process: &Running) -> bool {
    let supervises = process.arguments.iter().any(|word| word == "supervise");
    let named = |word: &String| word.ends_with("/sam-harness");
    !supervises && process.arguments.iter().take(2).any(named)
}

fn open_tool(rows: &[Row]) -> Option<&RowId> {
    rows.iter()
        .find(|row| matches!(&row.body, RowBody::Tool(tool) if !tool.status.is_terminal()))
        .map(|row| &row.id)
}

/// What was on the disk is in the conversation: every row once, in its newest version, ended where
/// it was still growing.
fn check_from_disk(rows: &[Row], owed: &[RowUpsert], growing: &[RowUpsert]) -> Result {
    for upsert in owed {
        let newest = owed
            .iter()
            .chain(growing)
            .filter(|other| other.id == upsert.id)
            .all(|other| other.rev <= upsert.rev);
        let grew = growing.iter().any(|other| other.id == upsert.id);
        let row = checks::only(rows, &upsert.id)?;
        if newest && !grew {
            ensure(
                row.rev == upsert.rev
                    && row.body == upsert.body
                    && row.created_at == upsert.created_at,
                || format!("on the disk was {upsert:?}, and stored is {row:?}"),
            )?;
        }
    }
    for upsert in growing {
        let row = checks::only(rows, &upsert.id)?;
        let kept = match (&upsert.body, &row.body) {
            (RowBody::Text(held), RowBody::Text(stored))
            | (RowBody::Thought(held), RowBody::Thought(stored)) => {
                stored.text == held.text && stored.ended_at.is_some()
            }
            (RowBody::Tool(held), RowBody::Tool(stored)) => {
                stored.status == ToolStatus::Interrupted
                    && stored.title == held.title
                    && stored.arguments == held.arguments
                    && stored.output == held.output
            }
            _ => false,
        };
        ensure(kept && row.rev > upsert.rev, || {
            format!("on the disk was {upsert:?}, and stored is {row:?}")
        })?;
    }
    Ok(())
}
