//! A task on a machine that is ready, with the scripted model, which answers at once.

use std::time::Instant;

use sam_domain::conversation::row::Author;
use sam_domain::feed::{ClientFrame, Entity, Scope, ServerFrame};
use sam_domain::task::TaskState;
use sam_e2e::repository::sample;
use sam_e2e::{Result, Stack, StackOptions, ensure};
use serde_json::json;

use crate::report::{Aim, Figure};
use crate::talk::PATIENCE;

const SAMPLES: usize = 7;
/// Words that the scripted model answers, and words on which it works.
const QUESTION: &str = "Where is the late fee computed?";
const REPAIR: &str = "A test of this repository fails. Find the cause, fix the code and not the test, and run the tests until all of them pass.";

/// What one task took, in milliseconds since its submission was sent.
struct Took {
    accepted: f64,
    first_row: f64,
    completed: f64,
}

pub(crate) async fn measure() -> Result<Vec<Figure>> {
    let mut stack = Stack::start_with(StackOptions {
        web: true,
        ..StackOptions::default()
    })
    .await?;
    stack.start_node("machine", &[]).await?;
    let repository = sample(stack.directory(), "sample")?
        .to_string_lossy()
        .into_owned();
    let mut answered = Vec::new();
    let mut repaired = Vec::new();
    // The first of each fills the caches that every later one finds.
    for number in 0..=SAMPLES {
        for (prompt, took) in [(QUESTION, &mut answered), (REPAIR, &mut repaired)] {
            let one = run(&stack, &repository, prompt).await?;
            if number > 0 {
                took.push(one);
            }
        }
    }
    let of = |took: &[Took], pick: fn(&Took) -> f64| took.iter().map(pick).collect::<Vec<_>>();
    Ok(vec![
        Figure::new(
            "submit to accepted",
            "ms",
            of(&answered, |took| took.accepted),
        ),
        Figure::new(
            "submit to the first agent row",
            "ms",
            of(&answered, |took| took.first_row),
        )
        .aim(Aim::AtMost(700.0)),
        Figure::new(
            "submit to completion, a question",
            "ms",
            of(&answered, |took| took.completed),
        ),
        Figure::new(
            "submit to completion, a repair",
            "ms",
            of(&repaired, |took| took.completed),
        ),
    ])
}

async fn run(stack: &Stack, repository: &str, prompt: &str) -> Result<Took> {
    let project = stack.create_project(repository).await?;
    let mut feed = stack
        .admin()?
        .socket(&format!("/api/projects/{}/feed", project.id))
        .await?;
    let follow = |scope| ClientFrame::Follow {
        scope,
        after: 0,
        epoch: None,
    };
    feed.send(&follow(Scope::Project(project.id.clone())))
        .await?;
    let begun = Instant::now();
    let elapsed = || begun.elapsed().as_secs_f64() * 1000.0;
    let submitted = stack
        .submit(&project.id, "measured", &json!({"prompt": prompt}))
        .await?;
    let accepted = elapsed();
    feed.send(&follow(Scope::Session(submitted.session.clone())))
        .await?;
    let mut first_row = None;
    let end = feed
        .until("the task's end", PATIENCE, |frame| {
            let ServerFrame::Changes { entities, .. } = frame else {
                return None;
            };
            entities.into_iter().find_map(|entity| match entity {
                Entity::Row(row) if row.author == Author::Agent => {
                    first_row.get_or_insert_with(elapsed);
                    None
                }
                Entity::Task(task) if task.id == submitted.task && task.state.is_terminal() => {
                    Some(task)
                }
                _ => None,
            })
        })
        .await?;
    let completed = elapsed();
    ensure(end.state == TaskState::Completed, || format!("{end:?}"))?;
    feed.close().await?;
    Ok(Took {
        accepted,
        first_row: first_row.ok_or("the agent wrote no row")?,
        completed,
    })
}
