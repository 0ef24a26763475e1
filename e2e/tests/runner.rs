//! From a terminal alone: this machine joins, takes work, is talked with and leaves, all by `sam`.

use std::path::PathBuf;
use std::process::Command;

use reqwest::Method;
use sam_domain::access::tokens::CreatedApiToken;
use sam_domain::access::wire::{JoinToken, Joined};
use sam_domain::node::wire::{NodeList, NodeView};
use sam_e2e::conversation::PATIENCE;
use sam_e2e::node::ScriptedNode;
use sam_e2e::process::Process;
use sam_e2e::repository::sample;
use sam_e2e::{Result, Stack, ensure, failure, machine, programs, wait_until, within};
use serde_json::{Value, json};

const QUESTION: &str = "Where is the late fee computed?";

/// A person's terminal on the machine that joins.
struct Terminal {
    url: String,
    home: PathBuf,
    token: String,
}

/// What a command printed.
#[derive(Debug)]
struct Said {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Said {
    fn json(&self) -> Result<Value> {
        serde_json::from_str(&self.out).map_err(|error| failure(format!("{error}: {self:?}")))
    }
}

impl Terminal {
    /// A signed-in one, in an empty home.
    async fn open(stack: &Stack) -> Result<Self> {
        let created: CreatedApiToken = stack
            .admin()?
            .post(
                "/api/auth/tokens",
                &json!({"name": "runner", "scopes": ["read", "write", "node-join"]}),
            )
            .await?
            .json()?;
        let home = stack.directory().join("home");
        std::fs::create_dir_all(&home)?;
        Ok(Self {
            url: stack.url().to_owned(),
            home,
            token: created.token,
        })
    }

    fn command(&self, arguments: &[&str]) -> Result<Command> {
        let mut command = Command::new(programs::native("sam")?);
        command
            .args(arguments)
            .env_clear()
            .env("PATH", programs::path())
            .env("HOME", &self.home)
            .env("TMPDIR", &self.home)
            .env("SAM_API_URL", &self.url)
            .env("SAM_API_TOKEN", &self.token);
        Ok(command)
    }

    async fn say(&self, arguments: &[&str]) -> Result<Said> {
        let mut command = self.command(arguments)?;
        let ended = tokio::task::spawn_blocking(move || command.output());
        let output = within("sam", PATIENCE, ended).await???;
        let said = Said {
            code: output.status.code(),
            out: String::from_utf8(output.stdout)?,
            err: String::from_utf8(output.stderr)?,
        };
        ensure(
            !said.out.contains(&self.token) && !said.err.contains(&self.token),
            || format!("{arguments:?} shows the token"),
        )?;
        Ok(said)
    }

    /// The same for a command that must end with this exit code.
    async fn expect(&self, code: i32, arguments: &[&str]) -> Result<Said> {
        let said = self.say(arguments).await?;
        ensure(said.code == Some(code), || {
            format!("{arguments:?} is not {code}: {said:?}")
        })?;
        Ok(said)
    }

    /// Registers this machine in the foreground, under a name.
    fn register(&self, stack: &Stack, name: &str) -> Result<Process> {
        let agents = programs::native_directory()?;
        let mut command = self.command(&["runner", "register", "--foreground"])?;
        command
            .args(["--name", name, "--no-install", "--max-workspaces", "2"])
            .arg("--agent-path")
            .arg(&agents);
        Process::start(name, command, stack.directory())
    }
}

/// Waits until a vm-agent that was turned away is gone.
async fn ended(runner: &Process) -> Result {
    let id = runner.id();
    wait_until("the vm-agent ends", PATIENCE, || async {
        let runs = machine::everything().iter().any(|process| process.id == id);
        Ok((!runs).then_some(()))
    })
    .await
}

async fn nodes(stack: &Stack) -> Result<Vec<NodeView>> {
    let list: NodeList = stack.admin()?.get("/api/nodes").await?.json()?;
    Ok(list.nodes)
}

#[tokio::test]
async fn a_machine_joins_works_is_talked_with_and_leaves_by_the_cli_alone() -> Result {
    let mut stack = Stack::start().await?;
    let repository = sample(stack.directory(), "inkwell")?;
    let project = stack.create_project(&repository.to_string_lossy()).await?;
    let terminal = Terminal::open(&stack).await?;
    terminal.expect(4, &["runner", "status"]).await?;
    terminal.expect(0, &["runner", "doctor"]).await?;

    let mut runner = terminal.register(&stack, "laptop")?;
    let node = stack.ready_node("laptop").await?;
    let arguments = machine::everything()
        .into_iter()
        .find(|process| process.id == runner.id())
        .map(|process| process.arguments.join(" "));
    ensure(
        arguments
            .as_ref()
            .is_some_and(|line| line.contains("--max-workspaces 2") && !line.contains("sam_join_")),
        || format!("it did not become the vm-agent: {arguments:?}"),
    )?;
    let status = terminal.expect(0, &["runner", "status", "--json"]).await?;
    ensure(
        status.json()?["seen"]["id"] == json!(node.id)
            && status.json()?["seen"]["state"] == "ready",
        || format!("{status:?}"),
    )?;

    // Work that was dispatched to the project is done here.
    let project_flag = format!("--project={}", project.id);
    let dispatched = terminal
        .expect(
            0,
            &[&project_flag, "tasks", "dispatch", QUESTION, "--follow"],
        )
        .await?;
    ensure(dispatched.out.contains("✓ Done after"), || {
        format!("{dispatched:?}")
    })?;

    // A conversation: begun, answered, gone on with, read and found.
    let chat = terminal.expect(0, &["chat", QUESTION]).await?;
    ensure(chat.err.contains("Go on: sam chat send"), || {
        format!("{chat:?}")
    })?;
    let list = terminal.expect(0, &["chat", "list", "--json"]).await?;
    let session = list.json()?["sessions"][0]["id"]
        .as_str()
        .ok_or_else(|| failure(format!("{list:?}")))?
        .to_owned();
    terminal
        .expect(
            0,
            &["chat", "send", &session, "Thank you for that.", "--follow"],
        )
        .await?;
    let read = terminal.expect(0, &["chat", "read", &session]).await?;
    ensure(
        read.out.contains(QUESTION) && read.out.contains("Thank you for that."),
        || format!("{read:?}"),
    )?;
    let found = terminal
        .expect(0, &["chat", "search", "thank", "THAT", "--json"])
        .await?;
    ensure(found.json()?["found"][0]["session"] == session, || {
        format!("{found:?}")
    })?;

    // The conversation holds its workspace, so the machine is not let go yet.
    let held = terminal.expect(0, &["workspace", "list", "--json"]).await?;
    let workspace = &held.json()?["workspaces"][0];
    ensure(workspace["node"] == json!(node.id), || format!("{held:?}"))?;
    let busy = terminal.expect(5, &["runner", "unregister"]).await?;
    ensure(busy.err.contains("Work is under way"), || {
        format!("{busy:?}")
    })?;
    ensure(runner.is_running()?, || {
        "it was let go while busy".to_owned()
    })?;
    let task = workspace["task"].as_str().unwrap_or_default().to_owned();
    terminal.expect(0, &["task", "close", &task]).await?;
    terminal.expect(0, &["task", "follow", &task]).await?;
    wait_until("the machine has no work", PATIENCE, || async {
        let held = nodes(&stack).await?;
        Ok(held.iter().all(|node| node.workspaces == 0).then_some(()))
    })
    .await?;

    let left = terminal
        .expect(0, &["runner", "unregister", "--json"])
        .await?;
    ensure(
        left.json()? == json!({"node": node.id, "left": true}),
        || format!("{left:?}"),
    )?;
    ended(&runner).await?;
    ensure(nodes(&stack).await?.is_empty(), || {
        "the server still lists it".to_owned()
    })?;
    let kept = terminal.home.join(".local/state/sam");
    let kept: Vec<_> = std::fs::read_dir(kept)?.flatten().collect();
    ensure(kept.is_empty(), || format!("{kept:?} is left"))?;
    terminal.expect(4, &["runner", "status"]).await?;
    terminal.expect(4, &["runner", "unregister"]).await?;

    // Nothing of it stands in the way of coming back as another machine, nor of leaving by force.
    let again = terminal.register(&stack, "laptop")?;
    let back = stack.ready_node("laptop").await?;
    ensure(back.id != node.id, || "the same node came back".to_owned())?;
    let task = stack
        .submit(
            &project.id,
            "held",
            &json!({"prompt": QUESTION, "mode": "conversation"}),
        )
        .await?;
    wait_until("the task is on the machine", PATIENCE, || async {
        Ok(stack
            .task(&task.task)
            .await?
            .workspace
            .is_some()
            .then_some(()))
    })
    .await?;
    terminal
        .expect(0, &["runner", "unregister", "--force"])
        .await?;
    ended(&again).await?;
    let reason = wait_until("the task waits for another machine", PATIENCE, || async {
        let view = stack.task(&task.task).await?;
        let detail = view.steps.iter().rev().find_map(|step| step.detail.clone());
        Ok(detail.filter(|detail| detail.contains("none has joined yet")))
    })
    .await;
    if let Err(error) = reason {
        let view = stack.task(&task.task).await?;
        return Err(failure(format!("{error}\n{view:?}")));
    }
    stack.end().await
}

#[tokio::test]
async fn a_machine_that_was_taken_out_does_not_come_back_by_its_old_join_token() -> Result {
    let stack = Stack::start().await?;
    let owner = stack.admin()?;
    let mint = || async {
        let reply = owner.post("/api/nodes/join-tokens", &json!({})).await?;
        reply.json::<JoinToken>()
    };
    let join = |token: JoinToken| async move {
        let machine = owner.with_token(&token.token);
        let disk = json!({"store_id": "disk", "name": "laptop"});
        machine.post("/api/nodes/join", &disk).await
    };
    let token = mint().await?;
    let joined: Joined = join(token.clone()).await?.json()?;
    // An answer that was lost is asked for again.
    let again: Joined = join(token.clone()).await?.json()?;
    ensure(again.node == joined.node, || format!("{again:?}"))?;
    let path = format!("/api/nodes/{}", joined.node);
    let removed = owner.send(owner.request(Method::DELETE, &path)).await?;
    ensure(removed.status == 200, || removed.text())?;

    let refused = join(token).await?;
    ensure(refused.status == 401, || refused.text())?;
    ensure(nodes(&stack).await?.is_empty(), || {
        "it is listed again".to_owned()
    })?;
    let back: Joined = join(mint().await?).await?.json()?;
    ensure(back.node != joined.node, || format!("{back:?}"))
}

#[tokio::test]
async fn a_machine_that_is_taken_out_at_work_has_no_model_any_more() -> Result {
    let stack = Stack::start().await?;
    let owner = stack.admin()?;
    let mut node = ScriptedNode::join(&stack, "laptop").await?;
    let project = stack.create_project("/nowhere").await?;
    stack
        .submit(&project.id, "held", &json!({"prompt": QUESTION}))
        .await?;
    let prompt = node.play_to_prompt().await?;
    let token = node.tokens(&prompt.workspace).await?.model_token;
    let ask = || async {
        let question = json!({"messages": [{"role": "user", "content": "hello"}]});
        let model = owner.with_token(&token);
        model.post("/ai/v1/chat/completions", &question).await
    };
    let answered = ask().await?;
    ensure(answered.status == 200, || answered.text())?;

    let path = format!("/api/nodes/{}", node.node);
    let remove =
        |path: String| async move { owner.send(owner.request(Method::DELETE, &path)).await };
    let busy = remove(path.clone()).await?;
    ensure(
        (busy.status, busy.code().as_str()) == (409, "node_busy"),
        || busy.text(),
    )?;
    let removed = remove(format!("{path}?force=true")).await?;
    ensure(removed.status == 200, || removed.text())?;
    let said = node.until_turned_away().await?;
    ensure(said == "revoked", || said.clone())?;
    wait_until("its token is worth nothing", PATIENCE, || async {
        let reply = ask().await?;
        let refused = (reply.status, reply.code().as_str()) == (403, "node_removed");
        Ok(refused.then_some(()))
    })
    .await
}
