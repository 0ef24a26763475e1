//! The link is cut while a tool runs. The tool ends meanwhile, so that its rows, and the agent's
//! next question to the model, meet the cut.

use sam_domain::node::wire::{NodeList, NodeState};
use sam_e2e::conversation::PATIENCE;
use sam_e2e::{Result, Wire, failure, wait_until};

use crate::scene::{Moment, Scene, Setting};
use crate::table::Case;

/// The link's lease in these tests, in seconds.
const LEASE: u32 = 6;

faults! {
    link_stalled = "link/stalled-shortly": |case| shortly(case, Wire::stall);
    link_closed_shortly = "link/closed-shortly": |case| shortly(case, Wire::close);
    link_forgotten = "link/forgotten": |case| beyond_the_lease(case, Wire::forget);
    link_closed = "link/closed": |case| beyond_the_lease(case, Wire::close);
}

fn setting() -> Setting {
    Setting {
        lease: Some(LEASE),
        wired: true,
    }
}

fn wire(scene: &Scene) -> Result<&Wire> {
    scene.wire.as_ref().ok_or_else(|| failure("no wire"))
}

/// For about a third of the lease: a ping and the tool's rows meet the cut.
async fn shortly(case: Case, cut: fn(&Wire)) -> Result {
    let mut scene = Scene::at(Moment::Tool, setting()).await?;
    cut(wire(&scene)?);
    scene.gate.open()?;
    scene.until_owed().await?;
    wire(&scene)?.mend().await?;
    scene.let_go().await?;
    scene.end(&case, None, &[]).await
}

async fn beyond_the_lease(case: Case, cut: fn(&Wire)) -> Result {
    let mut scene = Scene::at(Moment::Tool, setting()).await?;
    cut(wire(&scene)?);
    scene.gate.open()?;
    scene.until_owed().await?;
    let seen = until_away(&scene).await?;
    wire(&scene)?.mend().await?;
    scene.let_go().await?;
    scene.end(&case, None, &[seen]).await
}

/// Waits until the machine counts as away, as a person sees it: of the machine and of the task.
pub(crate) async fn until_away(scene: &Scene) -> Result<String> {
    let admin = scene.stack.admin()?;
    wait_until("the machine is away", PATIENCE, || async {
        let nodes: NodeList = admin.get("/api/nodes").await?.json()?;
        let away = nodes.nodes.iter().any(|node| node.state == NodeState::Away);
        let since = scene.work.view().await?.machine_away_since;
        Ok(since
            .filter(|_| away)
            .map(|since| format!("machine away since {}", since.0)))
    })
    .await
}
