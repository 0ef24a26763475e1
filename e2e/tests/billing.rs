//! What work costs: requests, rows written and alarms set, counted where Cloudflare bills them, and
//! compared with the table of SPECIFICATION.md.

use std::time::Duration;

use sam_domain::conversation::row::{Author, RowBody, RowUpsert, TextBody};
use sam_domain::conversation::wire::{MessageBatch, PromptState};
use sam_domain::id::{Id as _, RowId, WorkspaceId};
use sam_domain::task::TaskState;
use sam_domain::time::Timestamp;
use sam_e2e::faults::{CLASSES, Counters, Faults};
use sam_e2e::follower::Follower;
use sam_e2e::specification::Table;
use sam_e2e::steady::{self, SteadyNode};
use sam_e2e::{Client, Result, Stack, StackOptions, Work, ensure, failure, wait_until};
use serde_json::json;

const PATIENCE: Duration = Duration::from_secs(90);
/// The heading of the table.
const HEADING: &str = "What work costs";
/// The free plan's day, of requests and of rows alike.
const FREE_DAY: u64 = 100_000;

/// What something costs, in the columns of the table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Bill([u64; 5]);

const COLUMNS: [&str; 5] = [
    "Worker requests",
    "object requests",
    "frames",
    "rows written",
    "rows in D1",
];

impl Bill {
    fn between(before: &Counters, after: &Counters) -> Self {
        let mut bill = [0; 5];
        for class in CLASSES {
            let counts = after.of_class(class, before);
            bill[1] += counts.requests + counts.alarms;
            bill[2] += counts.frames;
            bill[3] += counts.rows_written + counts.alarms_set;
        }
        bill[0] = after.others.worker_requests - before.others.worker_requests;
        bill[4] = after.others.database_rows_written - before.others.database_rows_written;
        Self(bill)
    }

    fn times(self, times: u64) -> Self {
        Self(self.0.map(|count| count * times))
    }

    fn plus(self, other: Self) -> Self {
        let mut sum = self.0;
        for (sum, more) in sum.iter_mut().zip(other.0) {
            *sum += more;
        }
        Self(sum)
    }

    /// How many of it fit into the free plan's day.
    fn per_free_day(self) -> Self {
        let fits = |count: u64| FREE_DAY.checked_div(count).unwrap_or(FREE_DAY);
        let [worker, objects, frames, rows, database] = self.0;
        // Twenty frames are billed as a request.
        let objects = objects + frames.div_ceil(20);
        Self([fits(worker), fits(objects), 0, fits(rows), fits(database)])
    }

    /// What the table says.
    fn stated(what: &str) -> Result<Self> {
        let table = Table::under(HEADING)?;
        let row = table
            .rows()
            .iter()
            .find(|row| row.cell("what happens").is_ok_and(|cell| cell == what))
            .ok_or_else(|| failure(format!("the table does not say what this costs: {what}")))?;
        let mut bill = [0; 5];
        for (bill, column) in bill.iter_mut().zip(COLUMNS) {
            let cell = row.cell(column)?.replace(',', "");
            *bill = if cell == "–" { 0 } else { cell.parse()? };
        }
        Ok(Self(bill))
    }

    /// Compares with the table. Deliveries that meet on their way are billed as one or as two, so a
    /// tenth, or two, is let pass where there are many.
    fn check(self, what: &str) -> Result {
        let stated = Self::stated(what)?;
        let near = |(stated, found): (&u64, &u64)| stated.abs_diff(*found) <= (stated / 10).max(2);
        let exact = self.0.iter().sum::<u64>() < 30;
        let fits = if exact {
            self == stated
        } else {
            stated.0.iter().zip(&self.0).all(near)
        };
        ensure(fits, || {
            format!(
                "{what}: {:?} and not {:?}, in {COLUMNS:?}",
                self.0, stated.0
            )
        })
    }
}

/// A machine and somebody's project, with everything counted.
struct Scene {
    stack: Stack,
    faults: Faults,
    person: Client,
    node: SteadyNode,
    work: Option<Work>,
}

impl Scene {
    async fn set(settings: &[(&str, &str)]) -> Result<Self> {
        let settings = settings.iter();
        let stack = Stack::start_with(StackOptions {
            fault_injection: true,
            settings: settings
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            ..StackOptions::default()
        })
        .await?;
        let person = stack.admin()?.clone();
        let scene = Self {
            faults: Faults::of(&person),
            node: SteadyNode::join(&person, &stack.anyone()?).await?,
            person,
            stack,
            work: None,
        };
        wait_until("the pool knows the machine", PATIENCE, || async {
            let counters = scene.faults.counters().await?;
            Ok(counters.objects.contains_key("NodePool").then_some(()))
        })
        .await?;
        Ok(scene)
    }

    /// Fails when an object has anything to do within a while, those of one class aside. What counts
    /// tries rests when nobody tries.
    async fn resting(&self, counters: &Counters, aside: Option<&str>) -> Result {
        let classes = CLASSES.into_iter().filter(|class| Some(*class) != aside);
        for (class, objects) in classes.filter_map(|class| counters.objects.get_key_value(class)) {
            for name in objects.keys() {
                let stored = self.faults.look(class, name).await?;
                if let Some(due) = stored.due_within(Duration::from_secs(30)) {
                    return Err(failure(format!("{class} {name}: {due}")));
                }
            }
        }
        Ok(())
    }

    /// Waits until no object has anything to do for a while.
    async fn at_rest(&self) -> Result {
        wait_until("everything is at rest", PATIENCE, || async {
            let counters = self.faults.counters().await?;
            self.resting(&counters, None).await.map(Some)
        })
        .await
    }

    /// Sets the person's limits.
    async fn limit(&self, limits: &serde_json::Value) -> Result {
        let request = self.person.request(reqwest::Method::PUT, "/api/budgets");
        let reply = self.person.send(request.json(limits)).await?;
        ensure(reply.status == 200, || reply.text())
    }

    /// Calls the model once, until both budgets have been asked and told of it.
    async fn call(&self, model: &Client) -> Result {
        let before = self.faults.counters().await?;
        let question = json!({"model": "scripted", "messages": [
            {"role": "user", "content": "hello"}
        ]});
        let reply = model.post("/ai/v1/chat/completions", &question).await?;
        ensure(reply.status == 200, || reply.text())?;
        wait_until("the call is recorded", PATIENCE, || async {
            let now = self.faults.counters().await?;
            let asked = now.of_class("Budget", &before).requests;
            Ok((asked >= 4).then_some(()))
        })
        .await
    }

    /// What something costs until everything is at rest again.
    async fn cost<T>(&self, work: impl Future<Output = Result<T>>) -> Result<(Bill, T)> {
        let before = self.faults.counters().await?;
        let done = work.await?;
        self.at_rest().await?;
        let after = self.faults.counters().await?;
        Ok((Bill::between(&before, &after), done))
    }

    /// Waits by what a watcher is told, which costs nothing.
    async fn until(&self, watcher: &Follower, state: TaskState, prompt: PromptState) -> Result {
        let what = state.word();
        watcher
            .until(what, PATIENCE, |held| {
                let task = held.tasks.values().last()?;
                let last = held.sessions.values().last()?.prompts.last()?;
                (task.state == state && last.state == prompt).then_some(())
            })
            .await
    }
}

fn batch(first: u64, rev: u32, ids: &[RowId]) -> MessageBatch {
    let rows = ids.iter().zip(first..).map(|(id, n)| RowUpsert {
        n,
        id: id.clone(),
        rev,
        author: Author::Agent,
        created_at: Timestamp(1),
        body: RowBody::Text(TextBody {
            text: "what the agent says".to_owned(),
            ..TextBody::default()
        }),
    });
    MessageBatch {
        rows: rows.collect(),
    }
}

#[tokio::test]
async fn what_work_costs_is_what_the_table_says() -> Result {
    let scene = Scene::set(&[]).await?;
    let project = scene.stack.create_project("/nowhere").await?;
    scene.at_rest().await?;
    let watcher = Follower::start(&scene.person, &project.id);
    let current = |held: &sam_e2e::follower::Held| held.current.then_some(());
    watcher.until("the present", PATIENCE, current).await?;

    let first = json!({"prompt": "one", "mode": "conversation"});
    let (task, mut work) = scene
        .cost(async {
            let work = Work::submit(&scene.stack, &project.id, "first", &first).await?;
            scene
                .until(&watcher, TaskState::AwaitingInput, PromptState::Finished)
                .await?;
            Ok(work)
        })
        .await?;
    let mut wrong = Vec::new();
    let mut check = |what: &str, bill: Bill| {
        wrong.extend(bill.check(what).err().map(|error| error.to_string()));
    };
    check("a task, from its submission to its first answer", task);

    let (prompt, ()) = scene
        .cost(async {
            work.say("two").await?;
            watcher
                .until("the second answer", PATIENCE, |held| {
                    let prompts = &held.sessions.values().last()?.prompts;
                    let done = prompts.len() == 2 && prompts[1].state == PromptState::Finished;
                    done.then_some(())
                })
                .await?;
            scene
                .until(&watcher, TaskState::AwaitingInput, PromptState::Finished)
                .await
        })
        .await?;
    check("a further prompt, to its answer", prompt);

    let held = watcher.held();
    let workspace: WorkspaceId = held
        .tasks
        .values()
        .find_map(|task| task.workspace.clone())
        .ok_or_else(|| failure("the task has no workspace"))?;
    let tokens = scene.node.tokens(&workspace).await?;
    let writer = scene.person.with_token(&tokens.workspace_token);
    let ids = [1, 2].map(|row| RowId::mint(Timestamp(1), row));
    let begun = batch(1_000, 1, &ids);
    let begun = steady::post(&writer, &workspace, &begun);
    let (new_rows, ()) = scene.cost(begun).await?;
    check("a batch of two new rows", new_rows);
    let grown = batch(1_010, 2, &ids);
    let grown = steady::post(&writer, &workspace, &grown);
    let (grown_rows, ()) = scene.cost(grown).await?;
    check("a batch of two rows that grew", grown_rows);

    let model = scene.person.with_token(&tokens.model_token);
    // The first makes the budgets, and each change of a limit has both of them asked again.
    scene.limit(&json!({})).await?;
    scene.call(&model).await?;
    scene.limit(&json!({})).await?;
    let (call, ()) = scene.cost(scene.call(&model)).await?;
    check("a model call", call);
    scene.limit(&json!({"daily_tokens": 1_u64 << 40})).await?;
    scene.call(&model).await?;
    let (limited, ()) = scene.cost(scene.call(&model)).await?;
    check("a model call under a limit", limited);

    let (watching, watcher) = scene
        .cost(async {
            let another = Follower::start(&scene.person, &project.id);
            another
                .until("the present", PATIENCE, |held| {
                    (held.current && held.rows.len() > 1).then_some(())
                })
                .await?;
            Ok(another)
        })
        .await?;
    check("somebody begins to watch", watching);

    let (closing, ()) = scene
        .cost(async {
            work.end("close").await?;
            scene
                .until(&watcher, TaskState::Completed, PromptState::Finished)
                .await
        })
        .await?;
    check("closing it, to the pushed commit", closing);
    ensure(wrong.is_empty(), || wrong.join("\n"))
}

#[tokio::test]
async fn an_idle_link_costs_nothing_and_a_busy_one_little() -> Result {
    let lease = Duration::from_secs(3);
    let mut scene = Scene::set(&[("SAM_LINK_LEASE", "3")]).await?;
    scene.at_rest().await?;
    let before = scene.faults.counters().await?;
    tokio::time::sleep(3 * lease).await;
    let after = scene.faults.counters().await?;
    Bill::between(&before, &after).check("an idle link, for three lease times")?;
    let stored = scene.faults.look("NodeLifecycle", scene.node.node.as_str());
    let alarm = stored.await?.alarm;
    ensure(alarm.is_none(), || format!("an alarm is set: {alarm:?}"))?;

    let task = json!({"prompt": "hold"});
    let work = Work::begin(&scene.stack, "/nowhere", &task).await?;
    work.until(TaskState::Running).await?;
    scene.work = Some(work);
    let of_node = |now: &Counters, then: &Counters| now.of_class("NodeLifecycle", then);
    // What the beginning of the task left for alarms is done once every other object sleeps.
    wait_until("only the lease is kept", PATIENCE, || async {
        let counters = scene.faults.counters().await?;
        scene.resting(&counters, Some("NodeLifecycle")).await?;
        Ok((of_node(&counters, &before).alarms >= 3).then_some(()))
    })
    .await?;
    // A stall of this very process longer than the lease costs a new link, and is no lease time.
    let connection = async || {
        let stored = scene.faults.look("NodeLifecycle", scene.node.node.as_str());
        let node = stored.await?.actors.pop();
        let held = node.and_then(|node| node.pointer("/state/link/connection").cloned());
        Ok::<_, sam_e2e::Failure>(held.filter(|held| !held.is_null()))
    };
    wait_until(
        "the lease is looked at twice on one link",
        PATIENCE,
        || async {
            let link = connection().await?;
            let from = scene.faults.counters().await?;
            let to = wait_until("the lease is looked at twice", PATIENCE, || async {
                let now = scene.faults.counters().await?;
                Ok((of_node(&now, &from).alarms >= 2).then_some(now))
            })
            .await?;
            if link.is_none() || connection().await? != link {
                return Ok(None);
            }
            let alarms = of_node(&to, &from).alarms;
            let Bill(costs) = Bill::between(&from, &to);
            Ok(Some(Bill(costs.map(|cost| cost / alarms))))
        },
    )
    .await?
    .check("a lease time at work")
}

#[test]
fn an_hour_of_work_is_the_sum_of_its_parts() -> Result {
    let hour = Bill::stated("a task, from its submission to its first answer")?
        .plus(Bill::stated("a further prompt, to its answer")?.times(9))
        .plus(Bill::stated("a batch of two new rows")?.times(100))
        .plus(Bill::stated("a batch of two rows that grew")?.times(200))
        .plus(Bill::stated("a model call")?.times(300))
        .plus(Bill::stated("a lease time at work")?.times(40))
        .plus(Bill::stated("somebody begins to watch")?)
        .plus(Bill::stated("closing it, to the pushed commit")?);
    let stated = Bill::stated("an hour of work")?;
    ensure(hour == stated, || {
        format!("{:?} and not {:?}, in {COLUMNS:?}", hour.0, stated.0)
    })?;
    let stated = Bill::stated("such hours in the free plan's day")?;
    ensure(hour.per_free_day() == stated, || {
        format!("{:?} and not {:?}", hour.per_free_day().0, stated.0)
    })
}
