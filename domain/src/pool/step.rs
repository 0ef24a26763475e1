//! How a pool moves.
//!
//! Requests are served in order; one that no machine can serve (its agent is
//! not installed anywhere) does not block those behind it. A request that
//! waits is told why, and told again when the reason changes.

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
                Message::PlaceRequested { attempt, agent } => pool.request(
                    Request {
                        task,
                        attempt,
                        agent,
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
        self.waiting.push_back(request);
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
            state: view.state,
            agents: view.facts.agents.clone(),
            room,
            rev: view.rev,
        };
        self.nodes.insert(id.clone(), node);
        self.serve(send);
    }

    /// Places whoever can be placed, in order, and tells the others why not.
    fn serve(&mut self, send: &mut Send) {
        let waiting = std::mem::take(&mut self.waiting);
        for mut request in waiting {
            match self.best(&request.agent) {
                Ok(node) => {
                    let claim = Claim {
                        attempt: request.attempt,
                        node: node.clone(),
                    };
                    self.claims.insert(request.task.clone(), claim);
                    send.push(placed(&request, node));
                }
                Err(reason) => {
                    if request.reason.as_ref() != Some(&reason) {
                        request.reason = Some(reason.clone());
                        let message = Message::PlacementWaiting {
                            attempt: request.attempt,
                            reason,
                        };
                        send.push((Address::Task(request.task.clone()), message));
                    }
                    self.waiting.push_back(request);
                }
            }
        }
    }

    /// The ready machine with the agent and the most free places, or why there is none.
    fn best(&self, agent: &str) -> Result<NodeId, String> {
        if self.nodes.is_empty() {
            return Err("waiting for a machine: none has joined yet".to_owned());
        }
        let ready: Vec<_> = self
            .nodes
            .iter()
            .filter(|(_, node)| node.state == NodeState::Ready)
            .collect();
        if ready.is_empty() {
            let names: Vec<_> = self.nodes.values().map(|node| node.name.as_str()).collect();
            return Err(format!("waiting for a machine: {} away", names.join(", ")));
        }
        let able: Vec<_> = ready
            .into_iter()
            .filter(|(_, node)| node.agents.iter().any(|a| a == agent))
            .collect();
        if able.is_empty() {
            return Err(format!("waiting for a machine with {agent} installed"));
        }
        able.into_iter()
            .map(|(id, node)| ((node.room as usize).saturating_sub(self.taken(id)), id))
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
