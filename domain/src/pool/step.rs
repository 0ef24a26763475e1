//! How a pool moves.
//!
//! A free place goes to the project that was served longest ago, and within it
//! to the task that was submitted first: a project with a hundred tasks waiting
//! holds up no other. A request that no machine can serve (its agent is not
//! installed anywhere) blocks nobody. A request that waits is told why, and told
//! again when the reason changes.

use super::state::{Claim, DEFAULT_WORKSPACES, Pool, PoolNode, Request};
use crate::actor::{Address, Input, Machine, Message, Transition};
use crate::id::{NodeId, TaskId};
use crate::node::wire::{NodeState, NodeView};
use crate::time::Turn;
use std::convert::Infallible;

/// The pool machine.
#[derive(Clone, Copy, Debug)]
pub struct PoolMachine;

impl Machine for PoolMachine {
    type State = Pool;
    type Local = Infallible;
    type Output = Infallible;

    fn step(pool: &mut Pool, _turn: &mut Turn, input: Input<Infallible>) -> Transition<Infallible> {
        let mut send = Vec::new();
        match input {
            Input::Message {
                from: Address::Task(task),
                message,
            } => match message {
                Message::PlaceRequested {
                    attempt,
                    agent,
                    origin,
                } => pool.request(
                    Request {
                        task,
                        attempt,
                        agent,
                        origin,
                        reason: None,
                    },
                    &mut send,
                ),
                Message::Released { attempt } => pool.release(&task, attempt, &mut send),
                _ => {}
            },
            Input::Message {
                from: Address::Node(node),
                message: Message::NodeChanged(view),
            } => {
                pool.node_changed(&node, &view, &mut send);
            }
            Input::Message {
                from: Address::Node(node),
                message: Message::NodeLeft(_),
            } => {
                pool.nodes.remove(&node);
                pool.serve(&mut send);
            }
            Input::Message { .. } | Input::DeadlinePassed => {}
            Input::Local(never) => match never {},
        }
        Transition {
            send,
            ..Transition::default()
        }
    }
}

type Send = Vec<(Address, Message)>;

impl Pool {
    fn request(&mut self, request: Request, send: &mut Send) {
        if let Some(claim) = self.claims.get(&request.task) {
            if claim.attempt == request.attempt {
                send.push(placed(&request, claim.node.clone()));
                return;
            }
            if claim.attempt > request.attempt {
                return;
            }
            self.claims.remove(&request.task);
        }
        self.waiting.retain(|waiting| waiting.task != request.task);
        self.waiting.push(request);
        self.serve(send);
    }

    fn release(&mut self, task: &TaskId, attempt: u32, send: &mut Send) {
        if self
            .claims
            .get(task)
            .is_some_and(|claim| claim.attempt <= attempt)
        {
            self.claims.remove(task);
        }
        self.waiting
            .retain(|waiting| waiting.task != *task || waiting.attempt > attempt);
        self.serve(send);
    }

    fn node_changed(&mut self, id: &NodeId, view: &NodeView, send: &mut Send) {
        if self.nodes.get(id).is_some_and(|held| held.rev >= view.rev) {
            return;
        }
        let room = if view.facts.max_workspaces == 0 {
            DEFAULT_WORKSPACES
        } else {
            view.facts.max_workspaces
        };
        let node = PoolNode {
            name: view.name.clone(),
            owner: Some(view.owner.clone()),
            shared_with: view.shared_with.clone(),
            state: view.state,
            agents: view.facts.agents.clone(),
            room,
            disk_full: view.facts.disk_full,
            rev: view.rev,
        };
        self.nodes.insert(id.clone(), node);
        self.serve(send);
    }

    /// Places whoever can be placed, and tells the others why not.
    fn serve(&mut self, send: &mut Send) {
        while let Some((at, node)) = self.next() {
            let request = self.waiting.remove(at);
            let claim = Claim {
                attempt: request.attempt,
                node: node.clone(),
            };
            self.claims.insert(request.task.clone(), claim);
            if let Some(project) = request.project() {
                self.served.retain(|served| served != project);
                self.served.push(project.clone());
            }
            send.push(placed(&request, node));
        }
        let mut waiting = std::mem::take(&mut self.waiting);
        for request in &mut waiting {
            if let Err(reason) = self.best(request)
                && request.reason.as_ref() != Some(&reason)
            {
                request.reason = Some(reason.clone());
                let message = Message::PlacementWaiting {
                    attempt: request.attempt,
                    reason,
                };
                send.push((Address::Task(request.task.clone()), message));
            }
        }
        self.waiting = waiting;
        if self.waiting.is_empty() {
            // Turns are taken among those who wait; nobody owes anybody one later.
            self.served.clear();
        }
    }

    /// Whose turn it is among those who wait and can be placed now, and where.
    fn next(&self) -> Option<(usize, NodeId)> {
        let last_served = |request: &Request| {
            let project = request.project();
            self.served
                .iter()
                .position(|served| Some(served) == project)
        };
        self.waiting
            .iter()
            .enumerate()
            .filter_map(|(at, request)| Some((at, request, self.best(request).ok()?)))
            .min_by(|(_, a, _), (_, b, _)| {
                // Ids of tasks sort by when they were submitted.
                (last_served(a), &a.task).cmp(&(last_served(b), &b.task))
            })
            .map(|(at, _, node)| (at, node))
    }

    /// Why no machine is ready, by name.
    fn absent(open: &[(&NodeId, &PoolNode)]) -> String {
        let told = |states: &[NodeState], what: &str| {
            let of_kind = open.iter().filter(|(_, node)| states.contains(&node.state));
            let names: Vec<_> = of_kind.map(|(_, node)| node.name.as_str()).collect();
            (!names.is_empty()).then(|| format!("{} {what}", names.join(", ")))
        };
        let parts = [
            told(&[NodeState::Joining, NodeState::Away], "away"),
            told(&[NodeState::Draining], "draining, so it takes no more work"),
            told(
                &[NodeState::Contested],
                "claimed by two vm-agents at once; stop one of them",
            ),
        ];
        let parts: Vec<_> = parts.into_iter().flatten().collect();
        parts.join("; ")
    }

    /// The ready machine with the agent and the most free places, or why there is none.
    fn best(&self, request: &Request) -> Result<NodeId, String> {
        if self.nodes.is_empty() {
            return Err("waiting for a machine: none has joined yet".to_owned());
        }
        let open: Vec<_> = self
            .nodes
            .iter()
            .filter(|(_, node)| node.is_open_to(request))
            .collect();
        if open.is_empty() {
            return Err("waiting for a machine: none is shared with this project".to_owned());
        }
        let ready: Vec<_> = open
            .iter()
            .filter(|(_, node)| node.state == NodeState::Ready)
            .collect();
        if ready.is_empty() {
            return Err(format!("waiting for a machine: {}", Self::absent(&open)));
        }
        let able: Vec<_> = ready
            .into_iter()
            .filter(|(_, node)| node.agents.contains(&request.agent))
            .collect();
        if able.is_empty() {
            return Err(format!(
                "waiting for a machine with {} installed",
                request.agent
            ));
        }
        let roomy: Vec<_> = able.iter().filter(|(_, node)| !node.disk_full).collect();
        if roomy.is_empty() {
            let names: Vec<_> = able.iter().map(|(_, node)| node.name.as_str()).collect();
            return Err(format!(
                "waiting for room on the disk of {}",
                names.join(", ")
            ));
        }
        roomy
            .into_iter()
            .map(|(id, node)| ((node.room as usize).saturating_sub(self.taken(id)), *id))
            .filter(|(free, _)| *free > 0)
            .max_by_key(|(free, _)| *free)
            .map(|(_, id)| id.clone())
            .ok_or_else(|| "waiting for a free place on a machine".to_owned())
    }
}

fn placed(request: &Request, node: NodeId) -> (Address, Message) {
    (
        Address::Task(request.task.clone()),
        Message::Placed {
            attempt: request.attempt,
            node,
        },
    )
}
