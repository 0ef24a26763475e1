//! Two people steering one conversation at the same time.

use std::time::Duration;

use futures::future::{join, join_all};
use reqwest::Method;
use sam_domain::access::wire::ProjectRole;
use sam_domain::conversation::row::{Author, RowBody};
use sam_domain::conversation::wire::{PromptAccepted, PromptState, PromptView};
use sam_domain::id::{ProjectId, PromptId, UserId};
use sam_domain::link::frame::{Action, Command, Event, StopReason};
use sam_domain::task::TaskState;
use sam_e2e::conversation::texts;
use sam_e2e::node::ScriptedNode;
use sam_e2e::{Client, Person, Reply, Result, Stack, Work, ensure, failure, wait_until};
use serde_json::json;

const PATIENCE: Duration = Duration::from_secs(60);

/// A conversation whose agent works on its first prompt, and the two who steer it.
struct Scene {
    stack: Stack,
    node: ScriptedNode,
    work: Work,
    running: Command,
    anna: UserId,
    ben: Person,
}

impl Scene {
    async fn open(name: &str) -> Result<Self> {
        let stack = Stack::start().await?;
        let mut node = ScriptedNode::join(&stack, name).await?;
        let task = json!({"prompt": "Begin", "mode": "conversation"});
        let work = Work::begin(&stack, "/nowhere", &task).await?;
        let running = node.play_to_prompt().await?;
        let ben = Person::invited(&stack, "Ben").await?;
        ben.becomes(stack.admin()?, &work.project, ProjectRole::Contributor)
            .await?;
        let anna = work.view().await?.created_by;
        Ok(Self {
            stack,
            node,
            work,
            running,
            anna,
            ben,
        })
    }

    fn path(&self) -> String {
        format!(
            "/api/projects/{}/sessions/{}",
            self.work.project, self.work.session
        )
    }

    fn prompt_path(&self, prompt: &PromptId) -> String {
        format!("{}/prompts/{prompt}", self.path())
    }

    async fn say(&self, who: &Client, text: &str) -> Result<PromptAccepted> {
        let path = format!("{}/prompts", self.path());
        let key = text.replace(' ', "-");
        who.intend(&path, &key, &json!({"text": text}))
            .await?
            .json()
    }

    async fn edit(&self, who: &Client, prompt: &PromptId, text: &str) -> Result<Reply> {
        let request = who.request(Method::PATCH, &self.prompt_path(prompt));
        who.send(request.json(&json!({"text": text}))).await
    }

    async fn take_back(&self, who: &Client, prompt: &PromptId) -> Result<Reply> {
        who.send(who.request(Method::DELETE, &self.prompt_path(prompt)))
            .await
    }

    /// Ends the running turn and takes the next prompt.
    async fn next_prompt(&mut self) -> Result<Command> {
        self.node.finish(&self.running, 0).await?;
        self.running = self.node.play_to_prompt().await?;
        Ok(self.running.clone())
    }
}

fn words(command: &Command) -> Result<(&PromptId, &str)> {
    match &command.action {
        Action::Prompt { prompt, text, .. } => Ok((prompt, text)),
        other => Err(failure(format!("{} is not a prompt", other.word()))),
    }
}

fn refused(reply: &Reply, status: u16, code: &str) -> Result {
    ensure(
        (reply.status, reply.code().as_str()) == (status, code),
        || format!("{}: {} instead of {code}", reply.status, reply.text()),
    )
}

#[tokio::test]
async fn prompts_of_two_people_are_heard_in_the_order_of_acceptance() -> Result {
    let mut scene = Scene::open("order").await?;
    let admin = scene.stack.admin()?.clone();
    let said = (0..20).map(|n| {
        let who = if n % 2 == 0 {
            &admin
        } else {
            &scene.ben.client
        };
        let scene = &scene;
        async move { scene.say(who, &format!("words {n}")).await }
    });
    let accepted: Vec<PromptAccepted> = join_all(said).await.into_iter().collect::<Result<_>>()?;

    // The queue is in the order of the rows, and each shows who said it.
    let prompts = scene.work.conversation().await?.prompts;
    let rows = scene.work.rows().await?;
    ensure(prompts.len() == 21 && rows.len() == 21, || {
        format!("{} prompts, {} rows", prompts.len(), rows.len())
    })?;
    for (prompt, row) in prompts.iter().zip(&rows) {
        let RowBody::Text(body) = &row.body else {
            return Err(failure(format!("{row:?}")));
        };
        let odd = accepted
            .iter()
            .position(|accepted| accepted.prompt == prompt.id)
            .is_some_and(|n| n % 2 == 1);
        let by = if odd { &scene.ben.id } else { &scene.anna };
        ensure(
            prompt.row == row.id
                && row.author == Author::Person
                && body.prompt.as_ref() == Some(&prompt.id)
                && body.by.as_ref() == Some(by)
                && prompt.by == *by,
            || format!("{prompt:?} is shown as {row:?}"),
        )?;
    }
    // And the agent hears them in that order, each once.
    for prompt in prompts.iter().skip(1) {
        let command = scene.next_prompt().await?;
        ensure(words(&command)?.0 == &prompt.id, || {
            format!("{:?} came instead of {prompt:?}", command.action)
        })?;
    }
    Ok(())
}

#[tokio::test]
async fn what_waits_can_be_changed_by_whom_it_concerns_and_not_afterwards() -> Result {
    let mut scene = Scene::open("queue").await?;
    let admin = scene.stack.admin()?.clone();
    let ben = scene.ben.client.clone();
    let annas = scene.say(&admin, "Anna's words").await?.prompt;
    let bens = scene.say(&ben, "Ben's words").await?.prompt;
    let gone = scene.say(&ben, "Never mind").await?.prompt;

    refused(
        &scene.edit(&ben, &annas, "mine now").await?,
        403,
        "not_your_prompt",
    )?;
    refused(
        &scene.take_back(&ben, &annas).await?,
        403,
        "not_your_prompt",
    )?;
    let first = scene.work.prompt.clone();
    refused(
        &scene.edit(&admin, &first, "too late").await?,
        409,
        "already_sent",
    )?;
    let edited: PromptView = scene
        .edit(&ben, &bens, "Ben's better words")
        .await?
        .json()?;
    ensure(
        edited.id == bens && edited.state == PromptState::Queued && edited.by == scene.ben.id,
        || format!("{edited:?}"),
    )?;
    // Anna maintains the project, so she may change what Ben said; it stays his.
    let edited: PromptView = scene
        .edit(&admin, &bens, "Ben's best words")
        .await?
        .json()?;
    ensure(edited.by == scene.ben.id, || format!("{edited:?}"))?;
    ensure(scene.take_back(&ben, &gone).await?.status == 200, || {
        "one's own prompt cannot be taken back".to_owned()
    })?;
    refused(
        &scene.edit(&ben, &gone, "after all").await?,
        409,
        "already_sent",
    )?;

    let rows = scene.work.rows().await?;
    let said: Vec<&str> = texts(&rows, Author::Person)
        .iter()
        .map(|body| body.text.as_str())
        .collect();
    let expected = ["Begin", "Anna's words", "Ben's best words", "Never mind"];
    ensure(said == expected, || format!("{said:?}"))?;
    let revs: Vec<u32> = rows.iter().map(|row| row.rev).collect();
    ensure(revs == [1, 1, 3, 1], || format!("{revs:?}"))?;
    for expected in ["Anna's words", "Ben's best words"] {
        let command = scene.next_prompt().await?;
        ensure(words(&command)?.1 == expected, || {
            format!("{:?} instead of {expected}", command.action)
        })?;
    }

    // A change, a taking back and the end of the turn before it, all at once: one of them wins.
    let torn = scene.say(&ben, "Torn").await?.prompt;
    scene.node.finish(&scene.running, 0).await?;
    let (edited, taken) = join(
        scene.edit(&ben, &torn, "Mended"),
        scene.take_back(&admin, &torn),
    )
    .await;
    let (edited, taken) = (edited?, taken?);
    let outcomes = [(edited.status, edited.code()), (taken.status, taken.code())];
    let clear = outcomes
        .iter()
        .all(|(status, code)| *status == 200 || (*status == 409 && code == "already_sent"));
    ensure(clear, || format!("{outcomes:?}"))?;
    if taken.status == 200 {
        let again = scene.say(&admin, "Afterwards").await?.prompt;
        let command = scene.node.play_to_prompt().await?;
        ensure(words(&command)?.0 == &again, || {
            format!("{:?} was taken back", command.action)
        })
    } else {
        let command = scene.node.play_to_prompt().await?;
        let expected = if edited.status == 200 {
            "Mended"
        } else {
            "Torn"
        };
        ensure(words(&command)? == (&torn, expected), || {
            format!("{:?} after {outcomes:?}", command.action)
        })
    }
}

#[tokio::test]
async fn a_queue_that_is_full_says_so() -> Result {
    let scene = Scene::open("full").await?;
    let long = "x".repeat(60 * 1024);
    let path = format!("{}/prompts", scene.path());
    let sent = (0..60).map(|n| {
        let (path, text) = (&path, format!("{n} {long}"));
        let client = &scene.ben.client;
        async move {
            let key = format!("long-{n}");
            client.intend(path, &key, &json!({"text": text})).await
        }
    });
    let mut taken = 0;
    for reply in join_all(sent).await {
        let reply = reply?;
        match reply.status {
            202 => taken += 1,
            _ => refused(&reply, 409, "queue_full")?,
        }
    }
    ensure(taken == 8, || format!("{taken} prompts were taken"))?;
    let queued = scene.work.conversation().await?.prompts.len();
    ensure(queued == 9, || format!("{queued} prompts are there"))
}

#[tokio::test]
async fn one_cancels_what_the_other_began() -> Result {
    let mut scene = Scene::open("cancel").await?;
    let admin = scene.stack.admin()?.clone();
    let next = scene.say(&scene.ben.client, "Something else").await?.prompt;
    let path = format!("{}/cancel", scene.path());
    let body = json!({});
    // Both press the button.
    let (ours, theirs) = join(
        scene.ben.client.post(&path, &body),
        admin.post(&path, &body),
    )
    .await;
    for reply in [ours?, theirs?] {
        ensure(reply.status == 200, || {
            format!("{}: {}", reply.status, reply.text())
        })?;
    }
    let (prompt, _) = words(&scene.running)?;
    let event = Event::PromptFinished {
        prompt: prompt.clone(),
        stop_reason: StopReason::Cancelled,
        rows_through: 0,
    };
    let mut cancels = 0;
    while cancels < 2 {
        let command = scene.node.command().await?;
        ensure(
            matches!(command.action, Action::CancelPrompt { .. }),
            || format!("{:?}", command.action),
        )?;
        scene.node.done(&command).await?;
        cancels += 1;
    }
    let running = scene.running.clone();
    scene
        .node
        .report(&running.workspace, running.attempt, event)
        .await?;
    scene.node.done(&running).await?;
    let command = scene.node.play_to_prompt().await?;
    ensure(words(&command)?.0 == &next, || {
        format!("{:?}", command.action)
    })?;
    let states: Vec<_> = scene.work.conversation().await?.prompts;
    ensure(
        states.first().map(|prompt| prompt.state) == Some(PromptState::Cancelled),
        || format!("{states:?}"),
    )
}

#[tokio::test]
async fn a_close_while_the_other_sends_loses_no_words() -> Result {
    let mut scene = Scene::open("close").await?;
    let admin = scene.stack.admin()?.clone();
    share(&scene.stack, &scene.node, &scene.work.project).await?;
    let mut closed = 0;
    for round in 0..6 {
        scene.node.finish(&scene.running, 0).await?;
        let task = scene.running.clone();
        let id = scene.work.conversation().await?.task;
        scene
            .stack
            .until_task("it waits for a person", &id, PATIENCE, |view| {
                view.state == TaskState::AwaitingInput
            })
            .await?;
        let text = format!("round {round}");
        let close = format!("/api/tasks/{id}/close");
        let body = json!({});
        let (close, said) = join(
            admin.post(&close, &body),
            scene.say(&scene.ben.client, &text),
        )
        .await;
        let (close, said) = (close?, said?);
        match close.status {
            200 => closed += 1,
            _ => refused(&close, 409, "not_open")?,
        }
        // Whatever the close meets, the words are heard once: here, or in a new task of Ben's.
        loop {
            let command = scene.node.command().await?;
            scene.node.play(&command).await?;
            if let Action::Prompt { prompt, .. } = &command.action {
                ensure(*prompt == said.prompt, || {
                    format!("{prompt} was heard instead of {}", said.prompt)
                })?;
                scene.running = command;
                break;
            }
        }
        if scene.running.workspace != task.workspace {
            let task = scene.work.conversation().await?.task;
            let view = scene.stack.task(&task).await?;
            ensure(view.created_by == scene.ben.id && task != id, || {
                format!("{view:?}")
            })?;
        }
    }
    let session = scene.work.conversation().await?;
    ensure(session.prompts.len() == 7, || {
        format!("{closed} closes: {session:#?}")
    })?;
    // The first close is accepted or the first prompt is; both happen to be said clearly above.
    wait_until("everything before was heard", PATIENCE, || async {
        let prompts = scene.work.conversation().await?.prompts;
        let (last, others) = prompts
            .split_last()
            .ok_or_else(|| failure("no prompts are left"))?;
        let heard = others.iter().all(|p| p.state == PromptState::Finished);
        Ok((heard && last.state == PromptState::Running).then_some(()))
    })
    .await
}

/// Lets the admin's machine work for everybody in the project.
async fn share(stack: &Stack, node: &ScriptedNode, project: &ProjectId) -> Result {
    let admin = stack.admin()?;
    let path = format!("/api/nodes/{}/shares/{project}", node.node);
    let reply = admin.send(admin.request(Method::PUT, &path)).await?;
    ensure(reply.status == 200, || reply.text())
}
