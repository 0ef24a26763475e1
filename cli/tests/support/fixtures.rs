//! Entities as the server would send them, in the shared wire types.

use sam_domain::access::wire::{ProjectRole, ProjectView};
use sam_domain::conversation::row::{
    AnswerBody, Author, ChoiceKind, FileDiff, NoticeBody, NoticeLevel, PermissionBody,
    PermissionChoice, PermissionState, Row, RowBody, TextBody, ToolBody, ToolKind, ToolStatus,
};
use sam_domain::conversation::wire::{PromptState, PromptView, SessionView};
use sam_domain::feed::{Entity, Scope, ServerFrame};
use sam_domain::id::{Id, ProjectId, PromptId, RowId, SessionId, TaskId, UserId};
use sam_domain::task::wire::{GitResult, StepView};
use sam_domain::task::{StepName, TaskMode, TaskState, TaskView};
use sam_domain::time::Timestamp;
use serde_json::{Value, json};
use std::time::{SystemTime, UNIX_EPOCH};

/// The moment the fixtures begin.
pub const T0: u64 = 1_700_000_000_000;

/// `T0` and some milliseconds.
pub fn at(millis: u64) -> Timestamp {
    Timestamp(T0 + millis)
}

/// Now.
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Timestamp(u64::try_from(since.as_millis()).unwrap())
}

fn id<I: Id>(n: u128) -> I {
    I::mint(Timestamp(T0), n)
}

pub fn project_id() -> ProjectId {
    id(1)
}

pub fn session_id() -> SessionId {
    id(2)
}

pub fn task_id() -> TaskId {
    id(3)
}

pub fn row_id(n: u64) -> RowId {
    id(u128::from(n) + 1000)
}

pub fn prompt_id() -> PromptId {
    id(5)
}

pub fn user_id() -> UserId {
    id(4)
}

pub fn project(n: u64, name: &str) -> ProjectView {
    ProjectView {
        id: if n == 1 {
            project_id()
        } else {
            id(u128::from(n) * 77)
        },
        name: name.to_owned(),
        repository: format!("/repos/{name}"),
        default_agent: "sam-harness".to_owned(),
        role: ProjectRole::Owner,
        created_at: now(),
    }
}

pub fn user() -> Value {
    json!({ "id": user_id(), "name": "Ada", "role": "admin" })
}

pub fn setup(scripted: bool) -> Value {
    json!({ "claimed": true, "model": { "model": "scripted", "scripted": scripted } })
}

pub fn step(name: StepName, from: u64, to: Option<u64>, detail: &str) -> StepView {
    StepView {
        name,
        attempt: 1,
        started_at: at(from),
        ended_at: to.map(at),
        detail: (!detail.is_empty()).then(|| detail.to_owned()),
    }
}

/// A task that took `since` milliseconds to where it stands.
pub fn task(state: TaskState, rev: u64, since: u64, steps: Vec<StepView>) -> TaskView {
    TaskView {
        id: task_id(),
        project: project_id(),
        session: session_id(),
        created_by: user_id(),
        created_at: at(0),
        title: "Fix the failing test".to_owned(),
        agent: "sam-harness".to_owned(),
        mode: TaskMode::Task,
        state,
        since: at(since),
        attempt: 1,
        rev,
        steps,
        node: None,
        workspace: None,
        machine_away_since: None,
        waits_until: None,
        branch: None,
        result: None,
        failure: None,
        retry_of: None,
        rows_incomplete: false,
    }
}

pub fn git_result() -> GitResult {
    GitResult {
        branch: "sam/fix-the-failing-test-0003".to_owned(),
        commit: Some("4f2d1c0b9a8e7d6c5b4a39281706f5e4d3c2b1a0".to_owned()),
        pushed: true,
        files_changed: 1,
        added: 1,
        removed: 1,
        diff: None,
    }
}

pub fn session(rev: u64, prompt: PromptState) -> SessionView {
    SessionView {
        id: session_id(),
        project: project_id(),
        title: "Fix the failing test".to_owned(),
        created_at: at(0),
        updated_at: at(0),
        task: task_id(),
        prompts: vec![PromptView {
            id: prompt_id(),
            row: row_id(1),
            state: prompt,
            by: user_id(),
            stop_reason: None,
        }],
        activity: None,
        comparison: None,
        chosen: false,
        rev,
    }
}

fn row(n: u64, seq: u64, rev: u32, author: Author, created: u64, body: RowBody) -> Row {
    Row {
        id: row_id(n),
        session: session_id(),
        seq,
        pos: n,
        attempt: u32::from(author != Author::Person),
        rev,
        author,
        created_at: at(created),
        body,
    }
}

pub fn person(n: u64, seq: u64, created: u64, text: &str) -> Row {
    let body = TextBody {
        text: text.to_owned(),
        prompt: Some(prompt_id()),
        ..TextBody::default()
    };
    row(n, seq, 0, Author::Person, created, RowBody::Text(body))
}

pub fn text(n: u64, seq: u64, rev: u32, created: u64, ended: Option<u64>, text: &str) -> Row {
    let body = TextBody {
        text: text.to_owned(),
        ended_at: ended.map(at),
        ..TextBody::default()
    };
    row(n, seq, rev, Author::Agent, created, RowBody::Text(body))
}

pub fn thought(n: u64, seq: u64, created: u64, ended: u64, text: &str) -> Row {
    let body = TextBody {
        text: text.to_owned(),
        ended_at: Some(at(ended)),
        ..TextBody::default()
    };
    row(n, seq, 1, Author::Agent, created, RowBody::Thought(body))
}

pub fn tool(n: u64, seq: u64, created: u64, body: ToolBody) -> Row {
    let rev = u32::try_from(seq).unwrap();
    row(
        n,
        seq,
        rev,
        Author::Agent,
        created,
        RowBody::Tool(Box::new(body)),
    )
}

pub fn run_tool(title: &str, status: ToolStatus, ended: Option<u64>, output: &str) -> ToolBody {
    ToolBody {
        name: "bash".to_owned(),
        title: title.to_owned(),
        kind: ToolKind::Execute,
        status,
        arguments: r#"{"command":"npm test","timeout_seconds":60}"#.to_owned(),
        output: output.to_owned(),
        ended_at: ended.map(at),
        ..ToolBody::default()
    }
}

pub fn edit_tool(ended: u64) -> ToolBody {
    ToolBody {
        name: "edit_file".to_owned(),
        title: "Edit src/fees.js".to_owned(),
        kind: ToolKind::Edit,
        status: ToolStatus::Completed,
        arguments: r#"{"path":"src/fees.js","old_string":"total * rate","new_string":"Math.round(total * rate)"}"#.to_owned(),
        diffs: vec![FileDiff {
            path: "src/fees.js".to_owned(),
            unified: "@@ -1,3 +1,3 @@\n export function fee(total, rate) {\n-  return total * rate;\n+  return Math.round(total * rate);\n }\n".to_owned(),
            added: 1,
            removed: 1,
        }],
        ended_at: Some(at(ended)),
        ..ToolBody::default()
    }
}

pub fn notice(n: u64, seq: u64, level: NoticeLevel, words: &str, hint: Option<&str>) -> Row {
    let body = NoticeBody {
        level,
        code: "agent_died".to_owned(),
        text: words.to_owned(),
        hint: hint.map(str::to_owned),
    };
    row(n, seq, 1, Author::System, seq * 100, RowBody::Notice(body))
}

/// A question with three answers.
pub fn permission(n: u64, title: &str, state: PermissionState) -> Row {
    let choices = [
        ("yes", "Yes", ChoiceKind::AllowOnce),
        ("always", "Always", ChoiceKind::AllowAlways),
        ("no", "No", ChoiceKind::RejectOnce),
    ];
    let body = PermissionBody {
        title: title.to_owned(),
        choices: choices
            .map(|(id, label, means)| PermissionChoice {
                id: id.to_owned(),
                label: label.to_owned(),
                means,
            })
            .into(),
        state,
        ..PermissionBody::default()
    };
    let body = RowBody::Permission(Box::new(body));
    row(n, n, 1, Author::Agent, n * 100, body)
}

/// A person's yes to a question.
pub fn answer(n: u64, permission: u64) -> Row {
    let body = AnswerBody {
        permission: row_id(permission),
        option: "yes".to_owned(),
        label: "Yes".to_owned(),
        by: user_id(),
    };
    row(n, n, 0, Author::Person, n * 100, RowBody::Answer(body))
}

pub fn project_scope() -> Scope {
    Scope::Project(project_id())
}

pub fn session_scope() -> Scope {
    Scope::Session(session_id())
}

pub fn hello(scope: Scope, seq: u64) -> Value {
    frame(&ServerFrame::Hello {
        scope,
        epoch: "e1".to_owned(),
        seq,
        floor: 0,
    })
}

pub fn changes(scope: Scope, from: u64, to: u64, entities: Vec<Entity>) -> Value {
    frame(&ServerFrame::Changes {
        scope,
        from,
        to,
        entities,
        more: false,
    })
}

/// One page of the project: a task and its session.
pub fn project_changes(from: u64, task: TaskView, prompt: PromptState) -> Value {
    let rev = task.rev;
    changes(
        project_scope(),
        from,
        from + 1,
        vec![
            Entity::Task(Box::new(task)),
            Entity::Session(Box::new(session(rev, prompt))),
        ],
    )
}

/// One page of rows, up to the newest of them.
pub fn row_changes(from: u64, rows: Vec<Row>) -> Value {
    let to = rows.iter().map(|row| row.seq).max().unwrap_or(from);
    let entities = rows
        .into_iter()
        .map(|row| Entity::Row(Box::new(row)))
        .collect();
    changes(session_scope(), from, to, entities)
}

pub fn frame(frame: &ServerFrame) -> Value {
    serde_json::to_value(frame).expect("JSON")
}
