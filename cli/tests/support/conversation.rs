//! One conversation, as frames and as the transcript it must become.

use super::fixtures::{
    at, edit_tool, frame, git_result, hello, person, project, project_changes, project_id,
    project_scope, prompt_id, row_changes, row_id, run_tool, session_id, session_scope, setup,
    step, task, task_id, text, thought, tool,
};
use super::program::Program;
use super::server::{Server, Step};
use sam_domain::conversation::row::ToolStatus;
use sam_domain::conversation::wire::PromptState;
use sam_domain::feed::ServerFrame;
use sam_domain::task::wire::StepView;
use sam_domain::task::{StepName, TaskState, TaskView};
use serde_json::json;

/// Submits and follows.
pub const SUBMIT: [&str; 4] = ["task", "submit", "Fix the failing test", "--follow"];

pub async fn server() -> (Server, Program) {
    let server = Server::start().await;
    server.on(
        "GET",
        "/api/projects",
        200,
        &json!({ "projects": [project(1, "invoicing")] }),
    );
    server.on("GET", "/api/setup/status", 200, &setup(true));
    let submitted = json!({
        "task": task_id(), "session": session_id(), "prompt": prompt_id(), "row": row_id(1),
    });
    let tasks = format!("/api/projects/{}/tasks", project_id());
    server.on("POST", &tasks, 202, &submitted);
    let usage =
        json!({ "calls": 4, "unreported": 0, "input_tokens": 12_345, "output_tokens": 678 });
    server.on(
        "GET",
        &format!("/api/tasks/{}/usage", task_id()),
        200,
        &usage,
    );
    let program = Program::signed_in(&server.url);
    (server, program)
}

/// The steps up to the agent's work.
pub fn first_steps() -> Vec<StepView> {
    vec![
        step(StepName::Placing, 0, Some(400), ""),
        step(StepName::Preparing, 400, Some(1_600), "cloned"),
        step(StepName::Starting, 1_600, Some(2_000), ""),
        step(StepName::Running, 2_000, None, ""),
    ]
}

pub fn running(rev: u64) -> TaskView {
    task(TaskState::Running, rev, 2_000, first_steps())
}

pub fn completed(rev: u64) -> TaskView {
    let mut steps = first_steps();
    steps[3].ended_at = Some(at(16_000));
    steps.push(step(StepName::Finishing, 16_000, Some(16_800), ""));
    let mut done = task(TaskState::Completed, rev, 16_800, steps);
    done.result = Some(git_result());
    done
}

/// Greetings and the first page of both scopes.
pub fn greet(task: TaskView, prompt: PromptState) -> Vec<Step> {
    vec![
        Step::Await(2),
        Step::Send(hello(project_scope(), 1)),
        Step::Send(hello(session_scope(), 1)),
        Step::Send(project_changes(0, task, prompt)),
        Step::Send(row_changes(
            0,
            vec![person(1, 1, 0, "Fix the failing test")],
        )),
    ]
}

pub fn facts() -> String {
    format!(
        "  task   {}\n  agent  sam-harness\n  model  a scripted stand-in, not a real model\n\n",
        task_id()
    )
}

pub const OPENING: &str = "\
▌ Fix the failing test

✓ placing      0.4 s
✓ preparing    1.2 s  cloned
✓ starting     0.4 s
";

pub const ENDING: &str = "
✓ running     14.0 s
✓ finishing    0.8 s

✓ Done after 16.8 s
  branch   sam/fix-the-failing-test-0003 (pushed)
  commit   4f2d1c0b9a8e7d6c5b4a39281706f5e4d3c2b1a0
  changes  1 file, +1 −1
  model    4 calls, 12,345 tokens in, 678 out; scripted model
";

/// Everything a completed task may show, row by row as it happened.
pub fn whole_conversation() -> Vec<Step> {
    let failing = "not ok 1\n  expected 11\n  actual 10.5\n";
    let mut steps = greet(task(TaskState::Queued, 1, 0, vec![]), PromptState::Queued);
    steps.extend([
        Step::Send(project_changes(1, running(2), PromptState::Running)),
        Step::Send(row_changes(
            1,
            vec![thought(2, 2, 2_000, 5_200, "The test says…")],
        )),
        Step::Send(row_changes(
            2,
            vec![text(3, 3, 1, 5_200, None, "I will run ")],
        )),
        Step::Send(frame(&ServerFrame::Delta {
            session: session_id(),
            row: row_id(3),
            attempt: 1,
            rev: 1,
            at: 11,
            append: "the tests.".to_owned(),
        })),
        Step::Send(row_changes(
            3,
            vec![text(3, 4, 2, 5_200, Some(6_000), "I will run the tests.")],
        )),
        Step::Send(row_changes(
            4,
            vec![tool(
                4,
                5,
                6_000,
                run_tool("npm test", ToolStatus::InProgress, None, ""),
            )],
        )),
        Step::Send(row_changes(
            5,
            vec![tool(
                4,
                6,
                6_000,
                run_tool("npm test", ToolStatus::Failed, Some(8_100), failing),
            )],
        )),
        Step::Send(row_changes(6, vec![tool(5, 7, 8_500, edit_tool(8_520))])),
        Step::Send(row_changes(
            7,
            vec![tool(
                6,
                8,
                9_000,
                run_tool("npm test", ToolStatus::Completed, Some(10_900), "ok"),
            )],
        )),
        Step::Send(row_changes(
            8,
            vec![text(
                7,
                9,
                1,
                11_000,
                Some(12_000),
                "The fee is rounded now.\n\nAll tests pass.\n",
            )],
        )),
        Step::Send(project_changes(2, completed(3), PromptState::Finished)),
    ]);
    steps
}

pub fn whole_transcript() -> String {
    format!(
        "{}{OPENING}
∴ thought  3.2 s

I will run the tests.

✗ run     npm test  timeout_seconds=60  failed  2.1 s
    not ok 1
      expected 11
      actual 10.5
✓ edit    src/fees.js  +1  −1  done  0.0 s
    @@ -1,3 +1,3 @@
     export function fee(total, rate) {{
    -  return total * rate;
    +  return Math.round(total * rate);
     }}
✓ run     npm test  timeout_seconds=60  done  1.9 s

The fee is rounded now.

All tests pass.
{ENDING}",
        facts()
    )
}
