//! An agent that asks its person something, or stops without finishing.

use sam_domain::conversation::row::{Author, NoticeLevel, Row, RowBody};
use sam_domain::conversation::wire::ActivityState;
use sam_domain::task::{TaskState, TaskView};
use sam_e2e::conversation::{PATIENCE, notices, texts};
use sam_e2e::{Result, Stack, StackOptions, Work, ensure, wait_until};
use serde_json::{Value, json};

use crate::permissions::with_scripted_agent;

/// A task whose agent does this.
async fn task(stack: &Stack, name: &str, step: &Value) -> Result<Work> {
    let repository = sam_e2e::repository::sample(stack.directory(), name)?;
    let prompt = format!("Do it.\n{step}");
    let task = json!({"prompt": prompt, "agent": "goose", "mode": "task"});
    Work::begin(stack, &repository.to_string_lossy(), &task).await
}

/// What SAM itself said to the agent.
fn said_by_sam(rows: &[Row]) -> Vec<&str> {
    texts(rows, Author::System)
        .iter()
        .map(|text| text.text.as_str())
        .collect()
}

async fn over(work: &Work) -> Result<TaskView> {
    work.until_view("over", |view| view.state.is_terminal())
        .await
}

async fn until_activity(work: &Work, wanted: ActivityState) -> Result {
    wait_until(&format!("the agent is {wanted:?}"), PATIENCE, || async {
        let activity = work.conversation().await?.activity;
        Ok(activity.filter(|now| now.state == wanted).map(|_| ()))
    })
    .await
}

#[tokio::test]
async fn a_question_waits_for_its_answer_and_an_idle_agent_is_asked_once() -> Result {
    let options = StackOptions::with_settings([("SAM_IDLE_LIMIT", "2"), ("SAM_LINK_LEASE", "6")]);
    let mut stack = with_scripted_agent(options).await?;
    let question = json!({"person": {"question": "Which of them?", "options": ["left", "right"]}});
    let mut asks = task(&stack, "asks", &question).await?;
    let short = task(&stack, "short", &json!({"stop": "max_tokens"})).await?;
    let never = json!({"stop": "max_tokens", "always": true});
    let never = task(&stack, "never", &never).await?;

    // What the agent asked is a row, and an attribute of its task, until somebody answers.
    let words = "Which of them?\n\n1. left\n2. right";
    let view = asks
        .until_view("asks", |view| view.state == TaskState::AwaitingInput)
        .await?;
    ensure(view.asks.as_deref() == Some(words), || format!("{view:?}"))?;
    let rows = asks.rows().await?;
    let shown = notices(&rows).into_iter().any(|notice| {
        notice.code == "needs_input"
            && notice.level == NoticeLevel::Question
            && notice.text == words
    });
    ensure(shown, || format!("{rows:#?}"))?;

    // One that stopped short is asked what it waits for, and goes on.
    let view = over(&short).await?;
    ensure(view.state == TaskState::Completed, || format!("{view:?}"))?;
    let rows = short.rows().await?;
    let said = said_by_sam(&rows);
    ensure(
        said.len() == 1 && said.iter().all(|words| words.contains("continue now")),
        || format!("{said:?}"),
    )?;

    // One that stops again is not asked again: its task fails and says why.
    let view = over(&never).await?;
    let code = view.failure.as_ref().map(|failure| failure.code.as_str());
    ensure(code == Some("idle"), || format!("{view:?}"))?;
    let rows = never.rows().await?;
    ensure(said_by_sam(&rows).len() == 1, || format!("{rows:#?}"))?;

    // Meanwhile nobody has hurried the question, and it outlives the agent and its machine: what the
    // agent does is not known while the machine is away.
    until_activity(&asks, ActivityState::WaitingForPerson).await?;
    stack.node_process()?.kill()?;
    until_activity(&asks, ActivityState::Unknown).await?;
    let agents = stack.directory().join("agents");
    stack.restart_node("machine", &[&agents])?;
    until_activity(&asks, ActivityState::Ended).await?;
    let view = asks.view().await?;
    ensure(
        view.state == TaskState::AwaitingInput && view.asks.is_some(),
        || format!("{view:?}"),
    )?;

    // The answer clears it, and the task goes on.
    asks.say("The left one.").await?;
    let view = over(&asks).await?;
    ensure(
        view.state == TaskState::Completed && view.asks.is_none(),
        || format!("{view:?}"),
    )?;
    let rows = asks.rows().await?;
    let told = rows.iter().any(|row| {
        matches!(&row.body, RowBody::Text(text) if text.text.contains("Your person was asked"))
    });
    ensure(told && said_by_sam(&rows).is_empty(), || {
        format!("{rows:#?}")
    })?;
    stack.end().await
}
