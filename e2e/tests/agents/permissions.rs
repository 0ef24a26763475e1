//! What an agent asks is a row that waits; the first answer counts.

use std::collections::BTreeSet;

use futures::future::join_all;
use sam_domain::access::wire::ProjectRole;
use sam_domain::conversation::row::{
    AnswerBody, Author, ChoiceKind, PermissionBody, PermissionState, Row, RowBody,
};
use sam_domain::conversation::wire::{ActivityState, AnswerAccepted};
use sam_domain::task::TaskState;
use sam_e2e::conversation::{PATIENCE, texts};
use sam_e2e::repository::git;
use sam_e2e::{
    Client, Person, Reply, Result, Stack, StackOptions, Work, ensure, failure, programs, wait_until,
};
use serde_json::{Value, json};

/// A stack with a machine on which `goose` is the agent of `agent.mjs`.
async fn with_machine(arguments: &[&str]) -> Result<Stack> {
    let options = StackOptions {
        node_arguments: arguments.iter().map(|word| (*word).to_owned()).collect(),
        ..StackOptions::default()
    };
    with_scripted_agent(options).await
}

/// The same, with a stack of one's own.
pub(crate) async fn with_scripted_agent(options: StackOptions) -> Result<Stack> {
    let mut stack = Stack::start_with(options).await?;
    let folder = stack.directory().join("agents");
    let folder = programs::scripted_agent(&folder, "goose", "e2e/tests/agents/agent.mjs")?;
    stack.start_node("machine", &[&folder]).await?;
    Ok(stack)
}

/// A question about a command, with these answers as (id, kind).
fn question(title: &str, options: &[(&str, &str)]) -> String {
    let options: Vec<Value> = options
        .iter()
        .map(|(id, kind)| json!({"optionId": id, "name": format!("say {id}"), "kind": kind}))
        .collect();
    let call = json!({"toolCallId": title, "title": title, "kind": "execute", "rawInput": {"command": "ls"}});
    json!({"toolCall": call, "options": options}).to_string()
}

const PLAIN: &[(&str, &str)] = &[
    ("yes", "allow_once"),
    ("always", "allow_always"),
    ("no", "reject_once"),
];

/// A conversation whose agent was asked to ask this.
async fn asking(stack: &Stack, mode: &str, questions: &[String]) -> Result<Work> {
    let repository = sam_e2e::repository::sample(stack.directory(), mode)?;
    let prompt = format!("Ask.\n{}", questions.join("\n"));
    let task = json!({
        "prompt": prompt, "agent": "goose", "mode": "conversation", "permission_mode": mode,
    });
    Work::begin(stack, &repository.to_string_lossy(), &task).await
}

fn permissions(rows: &[Row]) -> Vec<(&Row, &PermissionBody)> {
    rows.iter()
        .filter_map(|row| match &row.body {
            RowBody::Permission(body) => Some((row, &**body)),
            _ => None,
        })
        .collect()
}

/// The question's row, once it is in this state.
async fn until(work: &Work, title: &str, state: PermissionState) -> Result<(Row, PermissionBody)> {
    wait_until(
        &format!("{title} is {}", state.word()),
        PATIENCE,
        || async {
            let rows = work.rows().await?;
            let found = permissions(&rows)
                .into_iter()
                .find(|(_, body)| body.title == title && body.state == state)
                .map(|(row, body)| (row.clone(), body.clone()));
            Ok(found)
        },
    )
    .await
}

async fn answer(client: &Client, work: &Work, row: &Row, option: &str) -> Result<Reply> {
    let path = format!(
        "/api/projects/{}/sessions/{}/permissions/{}",
        work.project, work.session, row.id
    );
    client.post(&path, &json!({"option": option})).await
}

fn refused(reply: &Reply, status: u16, code: &str) -> Result {
    let told: Value = serde_json::from_str(&reply.text())?;
    ensure(
        reply.status == status && told.pointer("/error/code").and_then(Value::as_str) == Some(code),
        || format!("not {status} {code} but {} {}", reply.status, reply.text()),
    )
}

/// What the agent was answered, in its own words.
async fn heard(work: &Work) -> Result<Vec<Value>> {
    let rows = work.rows().await?;
    Ok(texts(&rows, Author::Agent)
        .iter()
        .flat_map(|text| text.text.lines())
        .filter_map(|line| serde_json::from_str(line.strip_prefix("heard ")?).ok())
        .collect())
}

fn chosen(option: &str) -> Value {
    json!({"outcome": "selected", "optionId": option})
}

#[tokio::test]
async fn of_many_answers_at_once_exactly_one_counts() -> Result {
    let stack = with_machine(&[]).await?;
    let work = asking(&stack, "ask", &[question("Run ls", PLAIN)]).await?;
    let (row, body) = until(&work, "Run ls", PermissionState::Open).await?;
    let offered: Vec<(&str, ChoiceKind)> = body
        .choices
        .iter()
        .map(|choice| (choice.id.as_str(), choice.means))
        .collect();
    ensure(
        offered
            == [
                ("yes", ChoiceKind::AllowOnce),
                ("always", ChoiceKind::AllowAlways),
                ("no", ChoiceKind::RejectOnce),
            ]
            && body.default.as_deref() == Some("no")
            && body.arguments.contains("ls"),
        || format!("{body:?}"),
    )?;
    wait_until("it waits for a person", PATIENCE, || async {
        let activity = work.conversation().await?.activity;
        Ok(activity.filter(|now| now.state == ActivityState::WaitingForPerson))
    })
    .await?;

    let anna = stack.admin()?;
    refused(
        &answer(anna, &work, &row, "maybe").await?,
        422,
        "unknown_choice",
    )?;
    let ben = Person::invited(&stack, "Ben").await?;
    refused(
        &answer(&ben.client, &work, &row, "yes").await?,
        404,
        "not_found",
    )?;
    ben.becomes(anna, &work.project, ProjectRole::Contributor)
        .await?;
    // Each of ten says yes while the other says no.
    let race = (0..20).map(|n| {
        let (client, option) = match n % 2 {
            0 => (anna, "yes"),
            _ => (&ben.client, "no"),
        };
        answer(client, &work, &row, option)
    });
    let mut counted: Option<AnswerAccepted> = None;
    for reply in join_all(race).await {
        let reply = reply?;
        if reply.status == 202 {
            let accepted: AnswerAccepted = reply.json()?;
            let first = counted.get_or_insert_with(|| accepted.clone());
            ensure(*first == accepted, || {
                format!("two answers count: {first:?}, {accepted:?}")
            })?;
        } else {
            refused(&reply, 409, "already_answered")?;
        }
    }
    let counted = counted.ok_or_else(|| failure("no answer counts"))?;
    work.until(TaskState::AwaitingInput).await?;
    ensure(heard(&work).await? == [chosen(&counted.option)], || {
        format!("the agent did not hear {counted:?}")
    })?;
    let (_, closed) = until(&work, "Run ls", PermissionState::Answered).await?;
    ensure(closed.chosen.as_ref() == Some(&counted.option), || {
        format!("{closed:?}")
    })?;
    let rows = work.rows().await?;
    let answers: Vec<&AnswerBody> = rows
        .iter()
        .filter_map(|row| match &row.body {
            RowBody::Answer(answer) => Some(answer),
            _ => None,
        })
        .collect();
    ensure(
        answers.len() == 1
            && answers[0].option == counted.option
            && answers[0].permission == row.id,
        || format!("{answers:?}"),
    )?;
    refused(
        &answer(&ben.client, &work, &row, "always").await?,
        409,
        "already_answered",
    )
}

#[tokio::test]
async fn what_nobody_answers_is_refused_when_its_time_is_up() -> Result {
    let stack = with_machine(&["--permission-wait", "2"]).await?;
    let unnamed = question("Run what cannot be refused", &[("yes", "allow_once")]);
    let questions = [question("Run ls", PLAIN), unnamed];
    let work = asking(&stack, "ask", &questions).await?;
    let (row, body) = until(&work, "Run ls", PermissionState::Expired).await?;
    ensure(body.chosen.as_deref() == Some("no"), || format!("{body:?}"))?;
    let (_, body) = until(
        &work,
        "Run what cannot be refused",
        PermissionState::Expired,
    )
    .await?;
    ensure(body.chosen.is_none(), || format!("{body:?}"))?;
    work.until(TaskState::AwaitingInput).await?;
    let heard = heard(&work).await?;
    ensure(
        heard.len() == 2
            && heard.contains(&chosen("no"))
            && heard.contains(&json!({"outcome": "cancelled"})),
        || format!("{heard:?}"),
    )?;
    refused(
        &answer(stack.admin()?, &work, &row, "yes").await?,
        409,
        "permission_closed",
    )
}

#[tokio::test]
async fn what_offers_no_plain_yes_is_shown_in_every_mode_and_a_stop_takes_it_back() -> Result {
    let stack = with_machine(&[]).await?;
    let odd = question(
        "Do something new",
        &[("perhaps", "allow_on_tuesdays"), ("no", "reject_once")],
    );
    let twice = question("Run ls", &[("one", "allow_once"), ("two", "allow_once")]);
    let malformed = json!({"options": "none"}).to_string();
    let work = asking(&stack, "full", &[twice, odd, malformed]).await?;
    let (row, body) = until(&work, "Do something new", PermissionState::Open).await?;
    ensure(body.choices[0].means == ChoiceKind::Other, || {
        format!("{body:?}")
    })?;
    let rows = work.rows().await?;
    ensure(permissions(&rows).len() == 1, || {
        "what has a plain yes was asked in mode full".to_owned()
    })?;
    let told = work.told().await;
    ensure(told.contains("permission_refused"), || {
        format!("a request that cannot be read is not shown:\n{told}")
    })?;
    let reply = answer(stack.admin()?, &work, &row, "perhaps").await?;
    ensure(reply.status == 202, || reply.text())?;
    work.until(TaskState::AwaitingInput).await?;
    let heard = heard(&work).await?;
    ensure(
        heard.len() == 3
            && heard.contains(&chosen("one"))
            && heard.contains(&chosen("perhaps"))
            && heard.contains(&json!({"refused": -32602})),
        || format!("{heard:?}"),
    )?;

    let mut work = work;
    // Some ask with the id of a call alone; its words are those it was announced with.
    let again = json!({
        "announced": {
            "toolCallId": "again", "title": "Do it again", "kind": "execute",
            "status": "pending", "rawInput": {"command": "rm notes"},
        },
        "toolCall": {"toolCallId": "again"},
        "options": [{"optionId": "perhaps", "name": "say perhaps", "kind": "allow_on_tuesdays"}],
    });
    work.say(&format!("Ask.\n{again}")).await?;
    let (row, body) = until(&work, "Do it again", PermissionState::Open).await?;
    ensure(body.arguments.contains("rm notes"), || format!("{body:?}"))?;
    let path = format!(
        "/api/projects/{}/sessions/{}/cancel",
        work.project, work.session
    );
    let reply = stack.admin()?.post(&path, &json!({})).await?;
    ensure(reply.status == 200, || reply.text())?;
    until(&work, "Do it again", PermissionState::Withdrawn).await?;
    work.until(TaskState::AwaitingInput).await?;
    refused(
        &answer(stack.admin()?, &work, &row, "perhaps").await?,
        409,
        "permission_closed",
    )
}

#[tokio::test]
async fn a_mode_that_an_agent_does_not_have_is_refused() -> Result {
    let stack = Stack::start().await?;
    let project = stack.create_project("/nowhere").await?;
    let path = format!("/api/projects/{}/tasks", project.id);
    let check = async |agent: &str, mode: &str, status: u16| -> Result {
        let task = json!({"prompt": "x", "agent": agent, "permission_mode": mode});
        let key = format!("{agent}-{mode}");
        let reply = stack.admin()?.intend(&path, &key, &task).await?;
        ensure(reply.status == status, || {
            format!("{key}: {}", reply.text())
        })
    };
    check("sam-harness", "ask", 202).await?;
    check("pi", "ask", 400).await?;
    check("goose", "plan", 400).await?;
    check("goose", "ask", 202).await?;
    check("claude-code", "accept_edits", 202).await?;
    check("codex", "plan", 202).await
}

/// What sorts of calls our own agent asked about while it did the sample's work in a mode, everything
/// being allowed; and which files it changed.
async fn asked_by_ours(stack: &Stack, mode: &str) -> Result<(BTreeSet<String>, String)> {
    let repository = sam_e2e::repository::sample(stack.directory(), mode)?;
    let task = json!({
        "prompt": "A test of this repository fails. Find the cause, fix the code and not the test.",
        "mode": "conversation", "permission_mode": mode,
    });
    let work = Work::begin(stack, &repository.to_string_lossy(), &task).await?;
    let view = wait_until("its turn is over", PATIENCE, || async {
        let view = work.view().await?;
        if view.state == TaskState::AwaitingInput {
            return Ok(Some(view));
        }
        let rows = work.rows().await?;
        for (row, body) in permissions(&rows) {
            let open = body.state == PermissionState::Open;
            let once = body
                .choices
                .iter()
                .find(|choice| choice.means == ChoiceKind::AllowOnce);
            if let Some(once) = once.filter(|_| open) {
                // Closed meanwhile is as good.
                answer(stack.admin()?, &work, row, &once.id).await?;
            }
        }
        Ok(None)
    })
    .await?;
    let workspace = view
        .workspace
        .ok_or_else(|| failure("it has no workspace"))?;
    let workspaces = stack.node_directory("machine").join("workspaces");
    let checkout = workspaces.join(workspace.to_string()).join("repo");
    let changed = git(&checkout, &["diff", "--name-only"])?;
    let rows = work.rows().await?;
    let kinds = permissions(&rows).into_iter();
    let kinds = kinds.map(|(_, body)| format!("{:?}", body.tool)).collect();
    work.end("cancel").await?;
    Ok((kinds, changed))
}

#[tokio::test]
async fn our_own_agent_asks_what_its_mode_says() -> Result {
    let mut stack = Stack::start().await?;
    stack.start_node("machine", &[]).await?;
    for (mode, kinds, changed) in [
        ("ask", &["Edit", "Execute"][..], "src/ageing.js"),
        ("accept_edits", &["Execute"], "src/ageing.js"),
        ("plan", &[], ""),
    ] {
        let came = asked_by_ours(&stack, mode).await?;
        let kinds: BTreeSet<String> = kinds.iter().map(|kind| (*kind).to_owned()).collect();
        ensure(came == (kinds, changed.to_owned()), || {
            format!("{mode}: {came:?}")
        })?;
    }
    Ok(())
}
