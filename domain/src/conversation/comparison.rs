//! The same work under several agents, side by side.
//!
//! A comparison is one request and as many conversations as it names agents, each with a task and a
//! branch of its own. They are known by the first of them, and know nothing more of each other: what
//! one does changes no other. ProjectData keeps which belong together and who chose one; each
//! conversation says so in its view. Choosing ends nothing and removes nothing, and can be done anew.

use super::row::{Row, RowBody, ToolBody, ToolKind, ToolStatus};
use super::wire::{SessionView, SubmitTask};
use crate::error::ApiError;
use crate::id::UserId;
use crate::task::TaskView;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// Most agents of one comparison.
pub const CANDIDATES: usize = 8;

/// `GET …/sessions/{session}/comparison`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ComparisonView {
    /// The conversations, in the order in which the agents were named.
    pub candidates: Vec<Candidate>,
}

/// One of those that are compared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Candidate {
    /// The conversation; it says whether it was chosen.
    pub session: SessionView,
    /// Its newest task.
    pub task: TaskView,
    /// Who chose it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chosen_by: Option<UserId>,
    /// When.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chosen_at: Option<Timestamp>,
}

/// Refuses agents that make no comparison.
///
/// # Errors
/// When there are fewer than two, more than [`CANDIDATES`], one twice, or one beside them.
pub fn check_agents(request: &SubmitTask) -> Result<(), ApiError> {
    let agents = &request.agents;
    if agents.is_empty() {
        return Ok(());
    }
    let again =
        |(index, agent): (usize, &String)| agents.iter().skip(index + 1).any(|a| a == agent);
    let sound = (2..=CANDIDATES).contains(&agents.len())
        && !agents.iter().enumerate().any(again)
        && request.agent.is_none();
    if sound {
        return Ok(());
    }
    Err(ApiError::bad_request(format!(
        "`agents` names two to {CANDIDATES} agents, each once, and `agent` none."
    )))
}

/// How the commands ended that an agent ran after its last change: what it checked its work with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checks {
    /// Commands that succeeded.
    pub passed: u32,
    /// Commands that failed, or whose end nobody knows.
    pub failed: u32,
}

impl Checks {
    /// Those in a conversation's newest rows, in their order.
    #[must_use]
    pub fn of(rows: &[Row]) -> Self {
        let mut checks = Self::default();
        for row in rows {
            let RowBody::Tool(tool) = &row.body else {
                continue;
            };
            match tool.kind {
                ToolKind::Edit | ToolKind::Delete | ToolKind::Move
                    if tool.status == ToolStatus::Completed =>
                {
                    checks = Self::default();
                }
                ToolKind::Execute if tool.status.is_terminal() => {
                    if succeeded(tool) {
                        checks.passed += 1;
                    } else {
                        checks.failed += 1;
                    }
                }
                _ => {}
            }
        }
        checks
    }
}

/// Whether a command succeeded. Agents call a command that ran completed, whatever its exit code;
/// several of them tell that at the output's end.
fn succeeded(tool: &ToolBody) -> bool {
    let last = tool.output.trim_end().lines().next_back().unwrap_or("");
    let code = last
        .to_ascii_lowercase()
        .split_once("exit code")
        .map(|(_, code)| code.trim_matches(|c: char| !c.is_ascii_digit()).to_owned());
    tool.status == ToolStatus::Completed && code.is_none_or(|code| code.is_empty() || code == "0")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conversation::row::Author;
    use crate::id::{Id, RowId};

    fn id<I: Id>(n: u128) -> I {
        I::mint(Timestamp(1), n)
    }

    #[test]
    fn a_comparison_has_two_to_eight_agents_each_once() {
        let request = |agent: Option<&str>, names: &[&str]| {
            let agents: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
            let request = serde_json::json!({ "prompt": "p", "agent": agent, "agents": agents });
            serde_json::from_value::<SubmitTask>(request).unwrap()
        };
        for (good, agent) in [
            (&[][..], Some("a")),
            (&["a", "b"], None),
            (&["a", "b", "c", "d", "e", "f", "g", "h"], None),
        ] {
            assert_eq!(check_agents(&request(agent, good)), Ok(()));
        }
        for (bad, agent) in [
            (&["a"][..], None),
            (&["a", "b"], Some("c")),
            (&["a", "b", "a"], None),
            (&["a", "b", "c", "d", "e", "f", "g", "h", "i"], None),
        ] {
            assert!(check_agents(&request(agent, bad)).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn checks_are_the_commands_after_the_last_change() {
        let row = |kind: ToolKind, status: ToolStatus, output: &str| Row {
            id: RowId::mint(Timestamp(1), 1),
            session: id(1),
            seq: 1,
            pos: 1,
            attempt: 1,
            rev: 1,
            author: Author::Agent,
            created_at: Timestamp(1),
            body: RowBody::Tool(Box::new(ToolBody {
                kind,
                status,
                output: output.to_owned(),
                ..ToolBody::default()
            })),
        };
        use ToolKind::{Edit, Execute, Read};
        use ToolStatus::{Completed, Failed, InProgress, Interrupted};
        let of = |rows: &[Row]| {
            let checks = Checks::of(rows);
            (checks.passed, checks.failed)
        };
        let before = [
            row(Execute, Failed, "1 failing"),
            row(Read, Completed, ""),
            row(Edit, Failed, "no such file"),
        ];
        assert_eq!(of(&before), (0, 1));
        let mut all = before.to_vec();
        all.push(row(Edit, Completed, ""));
        assert_eq!(of(&all), (0, 0));
        all.push(row(Execute, Completed, "12 passing\n[exit code 0]"));
        all.push(row(Execute, Completed, "12 passing"));
        all.push(row(Execute, InProgress, ""));
        assert_eq!(of(&all), (2, 0));
        all.push(row(Execute, Completed, "1 failing\n[exit code 1]\n"));
        all.push(row(Execute, Interrupted, ""));
        assert_eq!(of(&all), (2, 2));
    }
}
