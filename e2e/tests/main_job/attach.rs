//! Files that go with a prompt: stored, given to the agent, and never part of the repository.

use sam_domain::conversation::wire::Submitted;
use sam_domain::task::TaskState;
use sam_e2e::conversation::PATIENCE;
use sam_e2e::repository::sample;
use sam_e2e::{Result, Stack, ensure, programs};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::process::Command;

const QUESTION: &str = "Where is the late fee computed?";
const NOTES: &str = "The ledger of Zanzibar is kept elsewhere.\n";

fn sha256(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn a_file_that_is_attached_reaches_the_agent_and_no_commit() -> Result {
    let mut stack = Stack::start().await?;
    let repository = sample(stack.directory(), "inkwell")?;
    stack.start_node("machine", &[]).await?;
    let project = stack.create_project(&repository.to_string_lossy()).await?;
    let notes = stack.directory().join("notes.md");
    let all = stack.directory().join("all.zip");
    std::fs::write(&notes, NOTES)?;
    std::fs::write(&all, [0xff; 64])?;
    let submitted = Command::new(programs::native("sam")?)
        .args([
            "task",
            "submit",
            QUESTION,
            "--mode",
            "conversation",
            "--json",
        ])
        .arg("--attach")
        .arg(&notes)
        .arg("--attach")
        .arg(&all)
        .env("SAM_API_URL", stack.url())
        .env("SAM_API_TOKEN", stack.admin()?.token())
        .env("HOME", stack.directory())
        .output()
        .await?;
    ensure(submitted.status.success(), || format!("{submitted:?}"))?;
    let submitted: Submitted = serde_json::from_slice(&submitted.stdout)?;
    let task = stack
        .until_task("answered", &submitted.task, PATIENCE, |task| {
            task.state == TaskState::AwaitingInput || task.state.is_terminal()
        })
        .await?;
    ensure(task.state == TaskState::AwaitingInput, || {
        format!("{task:?}")
    })?;

    // The agent was handed the text, and told where both lie: in its home.
    let told = serde_json::to_string(&stack.gateway().requests().await?)?;
    ensure(told.contains("ledger of Zanzibar"), || told.clone())?;
    let workspace = task.workspace.map(|id| id.to_string()).unwrap_or_default();
    let home = stack
        .node_directory("machine")
        .join("workspaces")
        .join(workspace);
    let folder = home
        .join("home/attachments")
        .join(submitted.prompt.to_string());
    ensure(
        std::fs::read_to_string(folder.join("notes.md"))? == NOTES,
        || "other words".to_owned(),
    )?;
    ensure(std::fs::read(folder.join("all.zip"))? == [0xff; 64], || {
        "other bytes".to_owned()
    })?;
    ensure(
        told.contains(&*folder.join("all.zip").to_string_lossy()),
        || told.clone(),
    )?;
    ensure(!home.join("repo/notes.md").exists(), || {
        "it is in the repository".to_owned()
    })?;

    // The person's entry names them.
    let path = format!(
        "/api/projects/{}/sessions/{}",
        project.id, submitted.session
    );
    let page: Value = stack
        .admin()?
        .get(&format!("{path}/messages"))
        .await?
        .json()?;
    let named = page["rows"][0]["body"]["attachments"].to_string();
    ensure(
        named.contains("notes.md") && named.contains("text/markdown"),
        || page.to_string(),
    )?;

    // What no machine could store, or nobody has stored, is refused.
    let admin = stack.admin()?;
    let prompts = format!("{path}/prompts");
    for (attachment, status) in [
        (
            json!({"name": "../x", "media_type": "text/plain", "sha256": sha256(NOTES.as_bytes()), "bytes": NOTES.len()}),
            400,
        ),
        (
            json!({"name": "x.svg", "media_type": "image/svg+xml", "sha256": sha256(NOTES.as_bytes()), "bytes": NOTES.len()}),
            400,
        ),
        (
            json!({"name": "x", "media_type": "text/plain", "sha256": sha256(b"nobody's"), "bytes": 8}),
            422,
        ),
        (
            json!({"name": "x", "media_type": "text/plain", "sha256": sha256(NOTES.as_bytes()), "bytes": 1}),
            422,
        ),
    ] {
        let body = json!({"text": "Read it.", "attachments": [attachment]});
        let refused = admin.intend(&prompts, "refused", &body).await?;
        ensure(refused.status == status, || {
            format!("{body}: {}", refused.text())
        })?;
    }

    // The same work begun again has the same files.
    let of_task = |what: &str| format!("/api/tasks/{}/{what}", submitted.task);
    admin
        .intend(&of_task("cancel"), "enough", &json!({}))
        .await?;
    stack
        .until_task("cancelled", &submitted.task, PATIENCE, |task| {
            task.state.is_terminal()
        })
        .await?;
    let again = admin.intend(&of_task("retry"), "again", &json!({})).await?;
    let again: Submitted = again.json()?;
    let path = format!("/api/projects/{}/sessions/{}", project.id, again.session);
    let page: Value = admin.get(&format!("{path}/messages")).await?.json()?;
    let first = &page["rows"][0]["body"];
    let again = first["attachments"].to_string();
    ensure(again == named && first["text"] == QUESTION, || {
        page.to_string()
    })
}
