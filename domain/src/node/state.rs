//! What a node remembers.

use super::wire::{NodeState, NodeView};
use crate::access::claims::WorkspaceScope;
use crate::collect::Map;
use crate::id::{NodeId, ProjectId, SessionId, TaskId, UserId, WorkspaceId};
use crate::link::frame::{Action, Command, LEASE, NodeFacts};
use crate::link::object_end::ObjectEnd;
use crate::time::{Millis, Timestamp};
use serde::{Deserialize, Serialize};

/// A node's whole memory. The default is a node nobody joined.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// Who it is; absent until it joined.
    pub joined: Option<JoinedNode>,
    /// Where it stands.
    pub state: NodeState,
    /// Since when.
    pub since: Timestamp,
    /// When its link was last known to be up.
    pub last_seen: Timestamp,
    /// What it is, as it last said.
    pub facts: NodeFacts,
    /// How long its link may be silent, where that is not [`LEASE`].
    #[serde(default)]
    pub own_lease: Option<Millis>,
    /// This end of the link.
    pub link: ObjectEnd,
    /// Commands that are not done, in the order they were asked for.
    pub commands: Vec<QueuedCommand>,
    /// Projects whose tasks it takes beside its owner's, in order of id.
    #[serde(default)]
    pub shared_with: Vec<ProjectId>,
    /// Its owner may not use the installation for now: it gets no link and no tokens.
    #[serde(default)]
    pub suspended: bool,
    /// Its owner wants it to end its work and take no more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub drains: bool,
    /// Its owner took it out for good.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub left: bool,
    /// What is placed on it.
    pub workspaces: Map<WorkspaceId, Placement>,
    /// What was on disks that are behind it no more, newest last. Such a disk
    /// may be joined anew, with its agents still running.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_behind: Vec<LeftBehind>,
    /// While it is contested: until when nothing is placed on it, should the
    /// rival not come again.
    #[serde(default)]
    pub contested_until: Option<Timestamp>,
    /// Grows with every visible change.
    pub rev: u64,
}

/// Who a node is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinedNode {
    /// Its id.
    pub id: NodeId,
    /// Whose it is.
    pub owner: UserId,
    /// Its name.
    pub name: String,
    /// HMAC of its token.
    pub token_hmac: String,
}

/// A command that is not done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueuedCommand {
    /// The command, without its remaining time.
    pub command: Command,
    /// When it gives up, if it was never sent.
    pub deadline: Timestamp,
    /// Whether it may have reached the node.
    pub sent: bool,
}

/// What is placed on a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placement {
    /// For which task.
    pub task: TaskId,
    /// In which project.
    pub project: ProjectId,
    /// In which conversation.
    pub session: SessionId,
    /// On whose behalf.
    pub user: UserId,
    /// Under which attempt.
    pub attempt: u32,
    /// A later attempt took over: it gets no tokens and its events are dropped.
    pub fenced: bool,
    /// When its agent was stopped for good. It is kept on disk for a person to
    /// look into, and makes room for newer ones.
    pub stopped_at: Option<Timestamp>,
    /// The agent that was started last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
}

/// A workspace on a disk that was replaced by another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftBehind {
    /// On which disk.
    pub store_id: String,
    /// Which workspace.
    pub workspace: WorkspaceId,
    /// What it was for.
    pub placement: Placement,
}

impl Placement {
    /// Whether a current attempt uses it.
    #[must_use]
    pub const fn is_live(&self) -> bool {
        !self.fenced && self.stopped_at.is_none()
    }
}

impl Node {
    /// The node as others see it; absent until it joined.
    #[must_use]
    pub fn view(&self) -> Option<NodeView> {
        let joined = self.joined.as_ref()?;
        Some(NodeView {
            id: joined.id.clone(),
            owner: joined.owner.clone(),
            name: joined.name.clone(),
            class: "own".to_owned(),
            state: self.state,
            since: self.since,
            facts: self.facts.clone(),
            shared_with: self.shared_with.clone(),
            workspaces: u32::try_from(self.live_workspaces()).unwrap_or(u32::MAX),
            rev: self.rev,
        })
    }

    /// Workspaces that a current attempt uses.
    #[must_use]
    pub fn live_workspaces(&self) -> usize {
        self.workspaces
            .values()
            .filter(|placement| placement.is_live())
            .count()
    }

    /// The scope of a workspace's tokens, if it is placed here and not fenced off.
    #[must_use]
    pub fn scope(&self, workspace: &WorkspaceId) -> Option<WorkspaceScope> {
        let node = self.joined.as_ref()?.id.clone();
        let placement = self
            .workspaces
            .get(workspace)
            .filter(|placement| !placement.fenced)?;
        Some(WorkspaceScope {
            user: placement.user.clone(),
            project: placement.project.clone(),
            session: placement.session.clone(),
            task: placement.task.clone(),
            workspace: workspace.clone(),
            node,
            attempt: placement.attempt,
            agent: placement.agent.clone(),
        })
    }

    /// When the machine wants to be woken: the lease while work is in flight or
    /// the link is down, and never-sent commands that give up. An idle link
    /// that is up needs no alarm.
    #[must_use]
    pub fn deadline(&self) -> Option<Timestamp> {
        let lease = self.is_watched().then(|| self.last_seen.plus(self.lease()));
        let expiry = self
            .commands
            .iter()
            .filter(|queued| !queued.sent)
            .map(|queued| queued.deadline)
            .min();
        [lease, expiry, self.contested_until]
            .into_iter()
            .flatten()
            .min()
    }

    /// Whether its lease is kept: somebody waits for it, or it is not there.
    #[must_use]
    pub fn is_watched(&self) -> bool {
        self.is_here() && (self.link.connection.is_none() || self.has_work())
    }

    /// Whether its link is believed to be up.
    #[must_use]
    pub const fn is_here(&self) -> bool {
        match self.state {
            NodeState::Ready | NodeState::Draining | NodeState::Contested => true,
            NodeState::Joining | NodeState::Away => false,
        }
    }

    /// What it is while its link is up and nobody contests it.
    #[must_use]
    pub const fn at_hand(&self) -> NodeState {
        if self.drains {
            NodeState::Draining
        } else {
            NodeState::Ready
        }
    }

    /// How long the link may be silent.
    #[must_use]
    pub fn lease(&self) -> Millis {
        self.own_lease.unwrap_or(LEASE)
    }

    /// Why nobody may speak as this node now, if nobody may; the reason as in `bye`.
    #[must_use]
    pub fn shut_out(&self) -> Option<&'static str> {
        let worthless = |joined: &JoinedNode| joined.token_hmac.is_empty();
        if self.left || self.joined.as_ref().is_some_and(worthless) {
            return Some("revoked");
        }
        self.suspended.then_some("suspended")
    }

    /// Whether something on the node matters to somebody.
    #[must_use]
    pub fn has_work(&self) -> bool {
        !self.commands.is_empty() || self.live_workspaces() > 0
    }
}

impl QueuedCommand {
    /// The command with the time it has left at `now`.
    #[must_use]
    pub fn at(&self, now: Timestamp) -> Command {
        Command {
            remaining: self.deadline.since(now),
            ..self.command.clone()
        }
    }

    /// Whether it makes its workspace.
    #[must_use]
    pub const fn makes_workspace(&self) -> bool {
        matches!(self.command.action, Action::PrepareWorkspace { .. })
    }
}

/// Stopped workspaces that are kept on a machine; the oldest go first.
pub const KEPT_WORKSPACES: usize = 16;

/// Workspaces on disks left behind that are remembered; the oldest are forgotten first.
pub const LEFT_BEHIND: usize = 16;

/// How long nothing is placed on a node after a rival of its agent was refused.
pub const CONTEST_LIMIT: Millis = Millis::minutes(15);

/// How long the clean-up of a fenced attempt may wait for its machine.
pub const FENCE_LIMIT: Millis = Millis::hours(24 * 7);
