//! The same work under several agents, side by side.
//!
//! A comparison is one request and as many conversations as it names agents, each with a task and a
//! branch of its own. They know nothing of each other: what one does changes no other. ProjectData
//! keeps which conversations belong together and which of them was chosen; each conversation says
//! so in its view. Choosing ends nothing and removes nothing, and can be done anew.

use super::row::{Row, RowBody, ToolBody, ToolKind, ToolStatus};
use super::wire::{SessionView, Submitted};
use crate::agents::PermissionMode;
use crate::error::ApiError;
use crate::id::{ComparisonId, SessionId, UserId};
use crate::task::{TaskMode, TaskView};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// Most agents of one comparison.
pub const CANDIDATES: usize = 8;

/// `POST /api/projects/{project}/comparisons`, with an `Idempotency-Key` header.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SubmitComparison {
    /// What is to be done, in the person's words.
    pub prompt: String,
    /// Agents of the catalogue, each once: two to eight.
    pub agents: Vec<String>,
    /// What ends each task.
    #[serde(default)]
    pub mode: TaskMode,
    /// The branch, tag or commit to start from; the repository's default when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
    /// What the agents may do unasked: everything, unless it says otherwise.
    #[serde(default, skip_serializing_if = "PermissionMode::is_default")]
    pub permission_mode: PermissionMode,
}

/// 202 to a comparison.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ComparisonSubmitted {
    /// The comparison.
    pub comparison: ComparisonId,
    /// What was submitted, in the order of the agents.
    pub tasks: Vec<Submitted>,
}

/// What a conversation's view says of the comparison that it is part of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Compared {
    /// The comparison.
    pub comparison: ComparisonId,
    /// Whether this conversation is the one that was chosen.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub chosen: bool,
}

/// `GET /api/projects/{project}/comparisons/{comparison}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ComparisonView {
    /// Its id.
    pub id: ComparisonId,
    /// Who asked for it.
    pub created_by: UserId,
    /// When.
    pub created_at: Timestamp,
    /// The conversations, in the order in which the agents were named.
    pub candidates: Vec<Candidate>,
    /// The choice, once one was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub choice: Option<Choice>,
}

/// One of those that are compared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Candidate {
    /// The conversation.
    pub session: SessionView,
    /// Its newest task.
    pub task: TaskView,
}

/// `POST /api/projects/{project}/comparisons/{comparison}/choice`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ChooseCandidate {
    /// The conversation that is chosen.
    pub session: SessionId,
}

/// Which conversation was chosen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Choice {
    /// Which.
    pub session: SessionId,
    /// By whom.
    pub by: UserId,
    /// When.
    pub at: Timestamp,
}

/// A comparison as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Comparison {
    /// Who asked for it.
    pub created_by: UserId,
    /// When.
    pub created_at: Timestamp,
    /// The conversations, in the order in which the agents were named.
    pub sessions: Vec<SessionId>,
    /// The choice, once one was made.
    pub choice: Option<Choice>,
}

impl Comparison {
    /// Chooses one of its conversations. Says whether that changes anything: choosing the one that
    /// is chosen keeps whose choice it was.
    ///
    /// # Errors
    /// When the conversation is not one of them.
    pub fn choose(&mut self, choice: Choice) -> Result<bool, ApiError> {
        if !self.sessions.contains(&choice.session) {
            return Err(ApiError::new(
                422,
                "not_compared",
                "This conversation is not part of the comparison.",
            ));
        }
        if (self.choice.as_ref()).is_some_and(|held| held.session == choice.session) {
            return Ok(false);
        }
        self.choice = Some(choice);
        Ok(true)
    }
}

/// Refuses agents that make no comparison.
///
/// # Errors
/// When there are fewer than two, more than [`CANDIDATES`], or one twice.
pub fn check_agents(agents: &[String]) -> Result<(), ApiError> {
    let again =
        |(index, agent): (usize, &String)| agents.iter().skip(index + 1).any(|a| a == agent);
    if (2..=CANDIDATES).contains(&agents.len()) && !agents.iter().enumerate().any(again) {
        return Ok(());
    }
    Err(ApiError::bad_request(format!(
        "`agents` names two to {CANDIDATES} agents, each once."
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

    fn choice(session: u128, by: u128) -> Choice {
        Choice {
            session: id(session),
            by: id(by),
            at: Timestamp(by as u64),
        }
    }

    #[test]
    fn one_of_those_that_are_compared_is_chosen_and_may_be_chosen_anew() {
        let mut comparison = Comparison {
            created_by: id(1),
            created_at: Timestamp(1),
            sessions: vec![id(10), id(11)],
            choice: None,
        };
        assert_eq!(
            comparison.choose(choice(12, 1)).unwrap_err().code,
            "not_compared"
        );
        assert_eq!(comparison.choose(choice(10, 1)), Ok(true));
        assert_eq!(comparison.choose(choice(10, 2)), Ok(false));
        assert_eq!(comparison.choice, Some(choice(10, 1)));
        assert_eq!(comparison.choose(choice(11, 2)), Ok(true));
        assert_eq!(comparison.choice, Some(choice(11, 2)));
    }

    #[test]
    fn a_comparison_has_two_to_eight_agents_each_once() {
        let agents = |names: &[&str]| {
            names
                .iter()
                .map(|name| (*name).to_owned())
                .collect::<Vec<_>>()
        };
        assert!(check_agents(&agents(&["a", "b"])).is_ok());
        assert!(check_agents(&agents(&["a", "b", "c", "d", "e", "f", "g", "h"])).is_ok());
        for bad in [
            agents(&[]),
            agents(&["a"]),
            agents(&["a", "b", "a"]),
            agents(&["a", "b", "c", "d", "e", "f", "g", "h", "i"]),
        ] {
            assert!(check_agents(&bad).is_err(), "{bad:?}");
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
