//! Two workspaces on one machine at once: no row, file or token crosses, and no secret of SAM's is
//! anywhere near an agent.

use std::path::{Path, PathBuf};

use sam_domain::access::wire::WorkspaceTokens;
use sam_domain::task::TaskState;
use sam_e2e::conversation::{PATIENCE, settled};
use sam_e2e::machine::{Running, contains};
use sam_e2e::repository::{git, sample_with};
use sam_e2e::stack::MODEL_KEY;
use sam_e2e::{Client, Result, Stack, Work, disk, ensure, failure, wait_until};
use serde_json::{Value, json};

use super::REPAIR;

/// One of the two.
struct Side {
    name: &'static str,
    /// Stands in this side's repository and nowhere else.
    canary: String,
    repository: PathBuf,
    work: Work,
    folder: PathBuf,
    agent: Running,
    relay: String,
    secret: String,
}

/// Everything that must not be found where an agent can look.
fn secrets(stack: &Stack) -> Result<Vec<String>> {
    let text = std::fs::read_to_string(stack.state_directory().join("secrets.json"))?;
    let kept: Value = serde_json::from_str(&text)?;
    let mut secrets: Vec<String> = ["sam_nod_", "sam_wsp_", "sam_mdl_", "sam_join_", "sam_ses_"]
        .map(str::to_owned)
        .to_vec();
    secrets.push(MODEL_KEY.to_owned());
    for name in ["SAM_SECRET", "SAM_CLAIM_TOKEN"] {
        let secret = kept
            .get(name)
            .and_then(Value::as_str)
            .filter(|secret| secret.len() >= 20);
        secrets.push(
            secret
                .ok_or_else(|| failure(format!("no {name}")))?
                .to_owned(),
        );
    }
    Ok(secrets)
}

/// The names of the files below a folder that hold the text.
fn holding(folder: &Path, text: &str) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for file in disk::files(folder) {
        // A file may go while it is looked for.
        if let Ok(bytes) = std::fs::read(&file)
            && contains(&bytes, text.as_bytes())
        {
            found.push(file);
        }
    }
    Ok(found)
}

fn variable(agent: &Running, name: &str) -> Result<String> {
    let environment = agent.environment();
    let text = String::from_utf8_lossy(&environment).into_owned();
    text.split('\0')
        .find_map(|pair| pair.strip_prefix(&format!("{name}=")).map(str::to_owned))
        .ok_or_else(|| failure(format!("{agent:?} has no {name}")))
}

async fn begin(stack: &Stack, name: &'static str) -> Result<(PathBuf, String, Work)> {
    let canary = format!("canary-of-{name}-5b1d0c7e");
    let repository = sample_with(stack.directory(), name, |files| {
        for (path, text) in files {
            if path == "test/statement.test.js" {
                *text = format!("// {canary}\n{text}");
            }
        }
    })?;
    let task = json!({"prompt": REPAIR});
    let work = Work::begin(stack, &repository.to_string_lossy(), &task).await?;
    Ok((repository, canary, work))
}

/// Lets both work until each has read its repository and its tests have run, and holds them there.
async fn both_at_work(stack: &Stack) -> Result<(Side, Side)> {
    let hold = json!({"kind": "hold", "after_chunks": 3, "times": 2, "tools": true, "contains": "canary-of-"});
    stack.gateway().fault(&hold).await?;
    let mut begun = Vec::new();
    for name in ["alpha", "beta"] {
        begun.push((name, begin(stack, name).await?));
    }
    wait_until("both agents are held", PATIENCE, || async {
        let requests = stack.gateway().requests().await?;
        let held = requests.iter().filter(|request| request["held"] == true);
        Ok((held.count() == 2).then_some(()))
    })
    .await?;
    let node = stack.disk("machine");
    let mut sides = Vec::new();
    for (name, (repository, canary, work)) in begun {
        let view = work.view().await?;
        let workspace = view
            .workspace
            .ok_or_else(|| failure("a running task has no workspace"))?;
        let folder = node.workspaces().join(workspace.to_string());
        let home = format!("HOME={}", folder.join("home").display());
        let agent = node
            .started()?
            .into_iter()
            .find(|process| {
                process.program() == "sam-harness"
                    && contains(&process.environment(), home.as_bytes())
            })
            .ok_or_else(|| failure(format!("no agent runs in {}", folder.display())))?;
        sides.push(Side {
            name,
            canary,
            repository,
            work,
            folder,
            relay: variable(&agent, "SAM_MODEL_URL")?,
            secret: variable(&agent, "SAM_MODEL_KEY")?,
            agent,
        });
    }
    match (sides.pop(), sides.pop()) {
        (Some(second), Some(first)) => Ok((first, second)),
        _ => Err(failure("two were begun")),
    }
}

/// Nothing that an agent or its children can see by themselves names a secret.
fn check_processes(stack: &Stack, secrets: &[String]) -> Result {
    let started = stack.disk("machine").started()?;
    ensure(started.len() >= 4, || {
        format!("two agents and their supervisors run, not {started:?}")
    })?;
    for process in &started {
        let environment = process.environment();
        for secret in secrets {
            ensure(!contains(&environment, secret.as_bytes()), || {
                format!("{secret} is in the environment of {process:?}")
            })?;
        }
        let arguments = process.arguments.join(" ");
        let told = secrets.iter().map(String::as_str).chain(["sam_rel_"]);
        for secret in told {
            ensure(!arguments.contains(secret), || {
                format!("{secret} is in the arguments of {process:?}")
            })?;
        }
    }
    Ok(())
}

fn check_disk(stack: &Stack, secrets: &[String]) -> Result {
    let node = stack.disk("machine");
    // The search finds what is there: the node's token lies beside the workspaces.
    let beside = holding(&stack.node_directory("machine"), "sam_nod_")?;
    ensure(!beside.is_empty(), || {
        "the search does not find the node's token where it is".to_owned()
    })?;
    for folder in [node.workspaces(), stack.scratch_directory("machine")] {
        for secret in secrets {
            let found = holding(&folder, secret)?;
            ensure(found.is_empty(), || format!("{secret} is in {found:?}"))?;
        }
    }
    Ok(())
}

/// What one side has, the other has not.
async fn check_apart(this: &Side, that: &Side) -> Result {
    ensure(
        this.agent.id != that.agent.id && this.relay != that.relay,
        || "both sides share an agent or a relay".to_owned(),
    )?;
    ensure(!holding(&this.folder, &this.canary)?.is_empty(), || {
        format!("{} does not hold its own repository", this.name)
    })?;
    let other = that.folder.to_string_lossy();
    for foreign in [&that.canary, &that.secret, other.as_ref()] {
        let found = holding(&this.folder, foreign)?;
        ensure(found.is_empty(), || format!("{foreign} is in {found:?}"))?;
        ensure(
            !contains(&this.agent.environment(), foreign.as_bytes()),
            || format!("{foreign} is in the environment of {}", this.name),
        )?;
    }
    // A relay serves its own session alone.
    let relay = Client::new(&this.relay)?;
    for (secret, status) in [(&this.secret, 200), (&that.secret, 401)] {
        let reply = relay.with_token(secret).get("/models").await?;
        ensure(reply.status == status, || {
            format!("{}: {} {}", this.name, reply.status, reply.text())
        })?;
    }
    Ok(())
}

async fn check_rows(this: &Side, that: &Side, secrets: &[String]) -> Result {
    let rows = this.work.rows().await?;
    settled(&rows)?;
    let text = serde_json::to_string(&rows)?;
    ensure(text.contains(&this.canary), || {
        format!("the rows of {} do not show what its agent read", this.name)
    })?;
    let other = that.folder.to_string_lossy().into_owned();
    let foreign = [&that.canary, &that.secret, &this.secret, &other];
    for word in secrets.iter().chain(foreign) {
        ensure(!text.contains(word.as_str()), || {
            format!("{word} is in the rows of {}", this.name)
        })?;
    }
    ensure(
        rows.iter().all(|row| row.session == this.work.session),
        || format!("a row of another conversation in that of {}", this.name),
    )
}

/// Neither the logs nor what the model was told has a secret.
async fn check_logs(stack: &Stack, sides: [&Side; 2], secrets: &[String]) -> Result {
    let requests = serde_json::to_string(&stack.gateway().requests().await?)?;
    let told = sides.map(|side| side.secret.clone());
    for secret in secrets.iter().chain(&told) {
        for log in ["server", "machine", "gateway"] {
            let text = std::fs::read_to_string(stack.directory().join(format!("{log}.log")))?;
            ensure(!text.contains(secret.as_str()), || {
                format!("{secret} is in the log of the {log}")
            })?;
        }
        ensure(!requests.contains(secret.as_str()), || {
            format!("{secret} was sent to the model")
        })?;
    }
    Ok(())
}

#[tokio::test]
async fn two_workspaces_on_one_machine_share_nothing() -> Result {
    let mut stack = Stack::start().await?;
    stack.start_node("machine", &[]).await?;
    let secrets = secrets(&stack)?;
    let (alpha, beta) = both_at_work(&stack).await?;

    // What a workspace's tokens look like is what is searched for.
    let (node, token) = stack.disk("machine").membership()?;
    let view = alpha.work.view().await?;
    let tokens: WorkspaceTokens = stack
        .anyone()?
        .with_token(&token)
        .post(
            &format!("/api/nodes/{node}/tokens"),
            &json!({"workspace": view.workspace}),
        )
        .await?
        .json()?;
    for token in [&token, &tokens.workspace_token, &tokens.model_token] {
        ensure(secrets.iter().any(|secret| token.contains(secret)), || {
            "a token is not like those that are searched for".to_owned()
        })?;
    }

    check_processes(&stack, &secrets)?;
    check_disk(&stack, &secrets)?;
    check_apart(&alpha, &beta).await?;
    check_apart(&beta, &alpha).await?;

    stack.gateway().release().await?;
    for side in [&alpha, &beta] {
        let view = side.work.until(TaskState::Completed).await?;
        let branches = git(&side.repository, &["branch", "--format=%(refname:short)"])?;
        let mut expected = vec!["main".to_owned()];
        expected.extend(view.branch);
        expected.sort();
        let mut found: Vec<&str> = branches.lines().collect();
        found.sort_unstable();
        ensure(found == expected, || format!("{}: {found:?}", side.name))?;
    }
    check_disk(&stack, &secrets)?;
    check_rows(&alpha, &beta, &secrets).await?;
    check_rows(&beta, &alpha, &secrets).await?;
    check_logs(&stack, [&alpha, &beta], &secrets).await?;
    stack.until_empty("machine").await
}
