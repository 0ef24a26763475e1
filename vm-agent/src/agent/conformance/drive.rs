//! The steps that every agent is driven through.

use crate::agent::install::Agents;
use crate::agent::launch::{Running, Setup, open, spawn};
use crate::hub::Failure;
use crate::layout::Layout;
use crate::store::Store;
use sam_acp::{
    AcpSessionId, AgentInfo, AgentUpdate, Block, HostEvent, PermissionOptionKind,
    PermissionOutcome, StopReason, TurnId,
};
use sam_domain::agents::{Agent, Dialect, PermissionMode};
use sam_domain::id::{Id as _, WorkspaceId};
use std::collections::BTreeMap;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// A step that went as it should.
pub(super) const PASSED: &str = "passed";
/// A step that the agent says it cannot do, or has no use for.
pub(super) const NOT_OFFERED: &str = "not offered";

/// The gateway's key, which stands in for the relay's secret.
pub(super) const KEY: &str = "conformance";

/// The settings of the AI Gateway before its Anthropic dialect: one that asks for no key of its own.
pub(super) const GATEWAY: &str = r#"{"id":"gateway","authentication":false,"cache_invalidate_on_update":false,"cache_ttl":0,"collect_logs":false,"rate_limiting_interval":0,"rate_limiting_limit":0}"#;

/// How long a step may take.
const STEP_LIMIT: Duration = Duration::from_secs(180);
/// How long a turn may go on after it was cancelled.
const CANCEL_LIMIT: Duration = Duration::from_secs(20);
/// How long an agent may take to die.
const DEATH_LIMIT: Duration = Duration::from_secs(20);

const TASK: &str =
    "A test of this repository fails. Find the cause, fix the code and not the test.";
const FILES: [(&str, &str); 3] = [
    (
        "package.json",
        "{\n  \"name\": \"sample\",\n  \"type\": \"module\",\n  \"scripts\": { \"test\": \"node --test\" }\n}\n",
    ),
    (
        "src/age.js",
        "/** Whether somebody of this age may vote: from 18 on. */\nexport function mayVote(age) {\n  return age > 18;\n}\n",
    ),
    (
        "test/age.test.js",
        "import test from 'node:test';\nimport assert from 'node:assert/strict';\nimport { mayVote } from '../src/age.js';\n\ntest('one may vote on the eighteenth birthday', () => {\n  assert.equal(mayVote(18), true);\n  assert.equal(mayVote(17), false);\n});\n",
    ),
];

/// A step in which the agent's own sandbox refused what it may not do unasked, and nobody was asked.
pub(super) const HELD_BACK: &str = "held back unasked";

/// Why a step did not pass.
enum Short {
    NotOffered,
    HeldBack,
    Failed(String),
}

type Step<T> = Result<T, Short>;

fn failed(error: impl std::fmt::Display) -> Short {
    Short::Failed(error.to_string())
}

impl From<Failure> for Short {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure.message)
    }
}

/// One agent and what it is driven with.
pub(super) struct Bench<'a> {
    pub(super) store: &'a Arc<Store>,
    pub(super) agents: &'a Agents,
    pub(super) gateway: &'a str,
    pub(super) agent: &'static Agent,
}

/// How a turn went.
struct Turn {
    stop: StopReason,
    asked: u32,
}

impl Bench<'_> {
    /// All steps with what came of them; later ones need the first two.
    pub(super) async fn steps(&self) -> BTreeMap<String, String> {
        let mut steps = BTreeMap::new();
        let mut note = |step: &str, came: Step<()>| {
            let came = match came {
                Ok(()) => PASSED.to_owned(),
                Err(Short::NotOffered) => NOT_OFFERED.to_owned(),
                Err(Short::HeldBack) => HELD_BACK.to_owned(),
                Err(Short::Failed(why)) => {
                    let line = why.split_whitespace().collect::<Vec<_>>().join(" ");
                    format!("failed: {line}")
                }
            };
            let passed = came == PASSED;
            steps.insert(step.to_owned(), came);
            passed
        };
        let ready = within(self.ready()).await;
        // One that calls its maker cannot be given the gateway for a model.
        if !note("initialize", ready) || self.agent.dialect == Dialect::Own {
            return steps;
        }
        note("new session", within(self.new_session()).await);
        note("tool loop", within(self.tool_loop()).await);
        note("permission", within(self.permission()).await);
        note("cancel", within(self.cancel()).await);
        note("crash and restart", within(self.crash()).await);
        note("load", within(self.load()).await);
        steps
    }

    /// A workspace with a repository in which a test fails.
    fn workspace(&self) -> Step<Layout> {
        let mut turn = crate::clock::turn();
        let layout = Layout::new(self.store.dir(), &WorkspaceId::draw(&mut turn));
        layout.make_afresh().map_err(failed)?;
        for (path, text) in FILES {
            let path = layout.repo().join(path);
            let folder = path.parent().unwrap_or(&path).to_owned();
            std::fs::create_dir_all(folder).map_err(failed)?;
            std::fs::write(path, text).map_err(failed)?;
        }
        for arguments in [
            &["init", "-q"][..],
            &["add", "-A"],
            &[
                "-c",
                "user.name=SAM",
                "-c",
                "user.email=sam@noreply.invalid",
                "commit",
                "-qm",
                "first",
            ],
        ] {
            let ran = Command::new("git")
                .args(arguments)
                .current_dir(layout.repo())
                .output()
                .map_err(failed)?;
            if !ran.status.success() {
                return Err(failed(String::from_utf8_lossy(&ran.stderr)));
            }
        }
        Ok(layout)
    }

    async fn start(
        &self,
        layout: &Layout,
        permission_mode: PermissionMode,
    ) -> Step<(Running, AgentInfo)> {
        let mode = self.agent.mode(permission_mode).ok_or(Short::NotOffered)?;
        let executable = self
            .agents
            .ensure(self.agent, self.store, layout.workspace())
            .await?;
        let setup = Setup {
            arguments: self.agents.arguments(self.agent),
            agent: self.agent,
            permission_mode,
            mode,
            executable,
            layout,
            own_login: self.agent.dialect == Dialect::Own,
        };
        // The gateway has Anthropic's dialect where AI Gateway has it.
        let origin = match self.agent.dialect {
            Dialect::Messages => format!("{}/v1/account/gateway", self.gateway),
            _ => self.gateway.to_owned(),
        };
        let running = spawn(self.store, &setup, &origin, KEY, "scripted")?;
        match running.host.initialize().await {
            Ok(info) => Ok((running, info)),
            Err(error) => Err(failed(format!("{error}; {}", running.stderr.tail()))),
        }
    }

    async fn ready(&self) -> Step<()> {
        let layout = self.workspace()?;
        let (mut running, info) = self.start(&layout, PermissionMode::Full).await?;
        end(&mut running).await?;
        // What SAM does not install may be any version. A bridge tells its own, if that.
        match (self.agent.package, self.agent.release, info.version) {
            (None, Some(meant), Some(found))
                if found != meant && self.agent.dialect != Dialect::Own =>
            {
                Err(failed(format!("it is version {found} and not {meant}")))
            }
            _ => Ok(()),
        }
    }

    async fn new_session(&self) -> Step<()> {
        let layout = self.workspace()?;
        let (mut running, _) = self.start(&layout, PermissionMode::Full).await?;
        open(&running, &layout).await?;
        end(&mut running).await
    }

    /// Reads, edits and runs until the tests pass.
    async fn tool_loop(&self) -> Step<()> {
        let layout = self.workspace()?;
        let (mut running, _) = self.start(&layout, PermissionMode::Full).await?;
        let session = open(&running, &layout).await?;
        let turn = self.turn(&mut running, &session, TASK).await?;
        ended(&turn.stop)?;
        repaired(&layout)?;
        if turn.asked > 0 {
            return Err(failed("it asked for permission in mode full"));
        }
        end(&mut running).await
    }

    /// Asks before it changes or runs anything, and goes on when it may.
    async fn permission(&self) -> Step<()> {
        let layout = self.workspace()?;
        let (mut running, _) = self.start(&layout, PermissionMode::Ask).await?;
        let session = open(&running, &layout).await?;
        let turn = self.turn(&mut running, &session, TASK).await?;
        ended(&turn.stop)?;
        end(&mut running).await?;
        match (turn.asked, repaired(&layout)) {
            (0, Ok(())) => Err(failed("it changed files and asked nothing")),
            (0, Err(_)) => Err(Short::HeldBack),
            (_, repaired) => repaired,
        }
    }

    /// Stops in mid-turn, and hears the next words.
    async fn cancel(&self) -> Step<()> {
        let layout = self.workspace()?;
        let (mut running, _) = self.start(&layout, PermissionMode::Full).await?;
        let session = open(&running, &layout).await?;
        let id = prompt(&running, &session, TASK)?;
        until_it_speaks(&mut running, id).await?;
        running.host.cancel(&session);
        let stopped = timeout(CANCEL_LIMIT, finish(&mut running, id))
            .await
            .map_err(|_| failed("it went on after it was cancelled"))??;
        if stopped.stop != StopReason::Cancelled && stopped.stop != StopReason::EndTurn {
            return Err(failed(format!("it stopped with {:?}", stopped.stop)));
        }
        let next = self.turn(&mut running, &session, TASK).await?;
        ended(&next.stop)?;
        end(&mut running).await
    }

    /// Is killed in mid-turn, which is noticed, and starts again.
    async fn crash(&self) -> Step<()> {
        let layout = self.workspace()?;
        let (mut running, _) = self.start(&layout, PermissionMode::Full).await?;
        let session = open(&running, &layout).await?;
        let id = prompt(&running, &session, TASK)?;
        until_it_speaks(&mut running, id).await?;
        running.process.terminate();
        let noticed = async {
            while let Some(event) = running.events.recv().await {
                if matches!(event, HostEvent::Closed(_)) {
                    return;
                }
            }
        };
        timeout(DEATH_LIMIT, noticed)
            .await
            .map_err(|_| failed("its death was not noticed"))?;
        timeout(DEATH_LIMIT, running.process.wait())
            .await
            .map_err(|_| failed("it did not die"))?
            .map_err(failed)?;
        let (mut running, _) = self.start(&layout, PermissionMode::Full).await?;
        let session = open(&running, &layout).await?;
        let turn = self.turn(&mut running, &session, TASK).await?;
        ended(&turn.stop)?;
        repaired(&layout)?;
        end(&mut running).await
    }

    /// Takes up a session of an earlier process, and hears the next words.
    async fn load(&self) -> Step<()> {
        let layout = self.workspace()?;
        let (mut running, info) = self.start(&layout, PermissionMode::Full).await?;
        if !info.load_session {
            return Err(Short::NotOffered);
        }
        let session = open(&running, &layout).await?;
        ended(&self.turn(&mut running, &session, TASK).await?.stop)?;
        end(&mut running).await?;
        let (mut running, _) = self.start(&layout, PermissionMode::Full).await?;
        running
            .host
            .load_session(&session, &layout.repo())
            .await
            .map_err(failed)?;
        let turn = self
            .turn(&mut running, &session, "What does this project do?")
            .await?;
        ended(&turn.stop)?;
        end(&mut running).await
    }

    /// A whole turn in which everything is allowed.
    async fn turn(&self, running: &mut Running, session: &AcpSessionId, words: &str) -> Step<Turn> {
        let id = prompt(running, session, words)?;
        finish(running, id).await
    }
}

async fn within(step: impl Future<Output = Step<()>>) -> Step<()> {
    timeout(STEP_LIMIT, step)
        .await
        .unwrap_or_else(|_| Err(failed("it took too long")))
}

fn prompt(running: &Running, session: &AcpSessionId, words: &str) -> Step<TurnId> {
    running
        .host
        .prompt(session, &[Block::text(words)])
        .map_err(failed)
}

/// Until the agent has said or begun something.
async fn until_it_speaks(running: &mut Running, id: TurnId) -> Step<()> {
    while let Some(event) = running.events.recv().await {
        match event {
            HostEvent::Update {
                update: AgentUpdate::Message(_) | AgentUpdate::ToolCall(_),
                ..
            } => return Ok(()),
            HostEvent::PromptFinished { turn, .. } if turn == id => {
                return Err(failed("its turn was over before it could be stopped"));
            }
            HostEvent::Closed(why) => return Err(failed(format!("it closed: {why:?}"))),
            _ => {}
        }
    }
    Err(failed("it is gone"))
}

/// Allows what it asks until its turn is over.
async fn finish(running: &mut Running, id: TurnId) -> Step<Turn> {
    let mut asked = 0;
    while let Some(event) = running.events.recv().await {
        match event {
            HostEvent::Permission(request) => {
                asked += 1;
                let yes = request
                    .options
                    .iter()
                    .find(|option| option.kind == PermissionOptionKind::AllowOnce);
                let outcome = match yes {
                    Some(option) => PermissionOutcome::Selected {
                        option: option.id.clone(),
                    },
                    None => PermissionOutcome::Cancelled,
                };
                request.responder.respond(&outcome);
            }
            HostEvent::PromptFinished { turn, result, .. } if turn == id => {
                let stop = result.map_err(failed)?.stop_reason;
                return Ok(Turn { stop, asked });
            }
            HostEvent::Closed(why) => {
                let tail = running.stderr.tail();
                return Err(failed(format!("it closed: {why:?}; {tail}")));
            }
            HostEvent::Update { .. } | HostEvent::PromptFinished { .. } | HostEvent::Report(_) => {}
        }
    }
    Err(failed("it is gone"))
}

fn ended(stop: &StopReason) -> Step<()> {
    if *stop == StopReason::EndTurn {
        Ok(())
    } else {
        Err(failed(format!("it stopped with {stop:?}")))
    }
}

fn repaired(layout: &Layout) -> Step<()> {
    let text = std::fs::read_to_string(layout.repo().join("src/age.js")).map_err(failed)?;
    if text.contains(">= 18") {
        Ok(())
    } else {
        Err(failed("the file is not repaired"))
    }
}

/// Ends the agent, by force where it does not go by itself.
async fn end(running: &mut Running) -> Step<()> {
    running.host.close();
    if timeout(Duration::from_secs(2), running.process.wait())
        .await
        .is_ok()
    {
        return Ok(());
    }
    running.process.terminate();
    match timeout(DEATH_LIMIT, running.process.wait()).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(failed(error)),
        Err(_) => Err(failed("it cannot be ended")),
    }
}
