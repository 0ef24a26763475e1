//! The machine is suspended for longer than the lease: the vm-agent and everything it started stand
//! still, and then go on.

use sam_e2e::conversation::PATIENCE;
use sam_e2e::machine;
use sam_e2e::repository::git;
use sam_e2e::{Result, ensure, failure, wait_until};

use crate::cut::until_away;
use crate::scene::{Moment, Scene, Setting};
use crate::table::Case;

/// The link's lease in these tests, in seconds.
const LEASE: u32 = 4;

faults! {
    machine_asleep_tool = "machine/asleep-tool": at_work;
    machine_asleep_pushing = "machine/asleep-pushing": pushing;
}

async fn asleep(moment: Moment) -> Result<Scene> {
    let setting = Setting {
        lease: Some(LEASE),
        wired: true,
    };
    let mut scene = Scene::at(moment, setting).await?;
    let node = scene.stack.node_process()?.id();
    let agents = scene.agents()?;
    scene.freeze(node)?;
    for process in agents {
        scene.freeze(process.id)?;
    }
    Ok(scene)
}

async fn at_work(case: Case) -> Result {
    let mut scene = asleep(Moment::Tool).await?;
    let seen = until_away(&scene).await?;
    scene.let_go().await?;
    scene.end(&case, None, &[seen]).await
}

/// It wakes up without a network in the middle of a push. It has lapsed by its own clock, so it
/// takes the push back, and pushes when it is welcomed again.
async fn pushing(case: Case) -> Result {
    let mut scene = asleep(Moment::Finishing).await?;
    let seen = until_away(&scene).await?;
    let wire = scene.wire.as_ref().ok_or_else(|| failure("no wire"))?;
    wire.close();
    scene.thaw();
    let node = scene.stack.node_process()?.id();
    wait_until("the push is taken back", PATIENCE, || async {
        let below = machine::below(node);
        let git = below
            .iter()
            .any(|process| process.program().starts_with("git"));
        Ok((!git && scene.git.waiting() == 0).then_some(()))
    })
    .await?;
    let pushes = pushes(&scene);
    scene.git.release();
    let branches = git(
        &scene.gate.repository,
        &["branch", "--format=%(refname:short)"],
    )?;
    ensure(branches == "main", || format!("it was pushed: {branches}"))?;
    ensure(crate::asleep::pushes(&scene) == pushes, || {
        "it pushed before it was welcomed".to_owned()
    })?;
    let wire = scene.wire.as_ref().ok_or_else(|| failure("no wire"))?;
    wire.mend().await?;
    scene.let_go().await?;
    scene.end(&case, None, &[seen]).await
}

fn pushes(scene: &Scene) -> usize {
    let seen = scene.git.seen();
    seen.iter()
        .filter(|request| request.contains("git-receive-pack"))
        .count()
}
