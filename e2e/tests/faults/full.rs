//! The disk under the outbox is full: a small one, really full.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use sam_domain::conversation::row::{Row, RowBody};
use sam_domain::node::wire::NodeList;
use sam_domain::task::TaskState;
use sam_e2e::conversation::{PATIENCE, notices, tools};
use sam_e2e::{Result, Stack, StackOptions, Work, ensure, failure, wait_until};
use serde_json::json;

use crate::checks;
use crate::scene::{MACHINE, Moment, Scene};
use crate::table::Case;

faults! {
    disk_full = "disk/outbox": outbox;
    disk_full_killed = "disk/killed": killed;
}

/// A file system in memory, small enough to be filled. Dropping it takes it away.
struct SmallDisk {
    at: PathBuf,
}

impl SmallDisk {
    /// `None` where this user may not mount one.
    fn mount(at: &Path) -> Result<Option<Self>> {
        std::fs::create_dir_all(at)?;
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=64m,mode=0700", "tmpfs"])
            .arg(at)
            .output()?;
        Ok(mounted.status.success().then(|| Self { at: at.to_owned() }))
    }

    fn ballast(&self) -> PathBuf {
        self.at.join("ballast")
    }

    /// Fills it to the last byte.
    fn fill(&self) -> Result {
        drop(std::fs::File::create(self.ballast())?);
        self.top_up()
    }

    /// The same again, when something gave way.
    fn top_up(&self) -> Result {
        let mut file = std::fs::File::options().append(true).open(self.ballast())?;
        for size in [1 << 20, 1 << 12, 1] {
            let piece = vec![1; size];
            while file.write_all(&piece).is_ok() {}
        }
        let full = std::fs::write(self.at.join("probe"), vec![1; 8192]);
        ensure(
            full.is_err_and(|error| error.raw_os_error() == Some(28)),
            || "there is room left".to_owned(),
        )?;
        Ok(std::fs::remove_file(self.at.join("probe"))?)
    }

    fn make_room(&self) -> Result {
        Ok(std::fs::remove_file(self.ballast())?)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.at).output();
    }
}

/// Whether the machine says that its disk is full, as everybody sees it.
async fn until_said(stack: &Stack, full: bool) -> Result {
    let admin = stack.admin()?;
    wait_until("the machine says so", PATIENCE, || async {
        let nodes: NodeList = admin.get("/api/nodes").await?.json()?;
        let said = nodes.nodes.iter().any(|node| node.facts.disk_full == full);
        Ok(said.then_some(()))
    })
    .await
}

/// The rows, once the conversation has a notice with this code.
async fn until_told(work: &Work, code: &str) -> Result<Vec<Row>> {
    wait_until("the conversation is told", PATIENCE, || async {
        let rows = work.rows().await?;
        let told = notices(&rows).iter().any(|notice| notice.code == code);
        Ok(told.then_some(rows))
    })
    .await
}

/// A scene on a small disk, with a tool at work; `None` where there can be none.
async fn small(case: &Case) -> Result<Option<(Scene, SmallDisk)>> {
    let options = StackOptions {
        max_workspaces: Some(2),
        ..StackOptions::default()
    };
    let stack = Stack::start_with(options).await?;
    let Some(disk) = SmallDisk::mount(&stack.node_directory(MACHINE))? else {
        eprintln!(
            "skipped: {} needs the right to mount a file system",
            case.id
        );
        return Ok(None);
    };
    let scene = Scene::on(stack, None, Moment::Tool).await?;
    Ok(Some((scene, disk)))
}

/// The vm-agent is killed, and starts on a disk without a free byte.
async fn killed(case: Case) -> Result {
    let Some((mut scene, disk)) = small(&case).await? else {
        return Ok(());
    };
    disk.fill()?;
    until_told(&scene.work, "disk_full").await?;
    let held = scene.kill_vm_agent().await?;
    disk.top_up()?;
    scene.restart_vm_agent()?;
    checks::until_asked(&scene.work).await?;
    disk.make_room()?;
    until_said(&scene.stack, false).await?;
    scene.let_go().await?;
    scene.end(&case, Some(&held), &[]).await?;
    drop(disk);
    Ok(())
}

async fn outbox(case: Case) -> Result {
    let Some((mut scene, disk)) = small(&case).await? else {
        return Ok(());
    };
    let hold = json!({"kind": "hold", "after_chunks": 1, "tools": true});
    scene.stack.gateway().fault(&hold).await?;

    disk.fill()?;
    until_said(&scene.stack, true).await?;
    until_told(&scene.work, "disk_full").await?;
    let task = json!({"prompt": "Say what this repository is."});
    let second = Work::submit(&scene.stack, &scene.work.project, "second", &task).await?;
    let waiting = second
        .until_view("waiting for room", |view| {
            let detail = view.steps.last().and_then(|step| step.detail.as_deref());
            detail.is_some_and(|detail| detail.contains("waiting for room on the disk"))
        })
        .await?;
    ensure(waiting.state == TaskState::Placing, || {
        format!("{waiting:?}")
    })?;

    // What happens on a full disk is told and kept all the same.
    scene.gate.open()?;
    wait_until("the tool's end is told", PATIENCE, || async {
        let rows = scene.work.rows().await?;
        let ended = tools(&rows)
            .iter()
            .any(|tool| tool.status.is_terminal() && tool.output.contains("fail 1"));
        Ok(ended.then_some(()))
    })
    .await?;
    let writes = disk.at.join("probe");
    ensure(std::fs::write(writes, vec![1; 8192]).is_err(), || {
        "the disk was not full".to_owned()
    })?;

    disk.make_room()?;
    until_said(&scene.stack, false).await?;
    let rows = until_told(&scene.work, "disk_has_room").await?;
    ensure(
        rows.iter()
            .filter(|row| matches!(row.body, RowBody::Notice(_)))
            .count()
            == 2,
        || failure(format!("{:#?}", notices(&rows))).to_string(),
    )?;
    scene.let_go().await?;
    second.until(TaskState::Completed).await?;
    // The folder is the mount itself, so it goes before the stack's own.
    scene.end(&case, None, &[]).await?;
    drop(disk);
    Ok(())
}
