//! Objects under eviction: one script, undisturbed and then with objects evicted at each point that
//! they pass, ends in the same state.
//!
//! A run has a person, a machine and a project of its own, so that many go on side by side. Each
//! disturbed run evicts one object of every class, at points that lie apart in the script; together
//! the runs cover every point of every class.

mod script;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::future::{join_all, try_join_all};
use sam_e2e::faults::{ACTORS, Faults, NEXT};
use sam_e2e::{Client, Person, Result, Stack, StackOptions, ensure, failure, wait_until};
use serde_json::Value;

use script::Run;

/// How long a run may take to get ready.
const PATIENCE: Duration = Duration::from_secs(90);
/// Runs that go on side by side.
const LANES: usize = 16;

/// Where a run evicts: the object of each class, and at which of its passes from then on.
type Evictions = Vec<(&'static str, usize)>;

/// What all runs share.
struct Stage {
    stack: Stack,
    anyone: Client,
    faults: Faults,
    /// How the undisturbed run ended.
    expected: Value,
    /// Evictions that were done.
    done: AtomicUsize,
}

impl Stage {
    /// A run that is ready, with its evictions asked for. Begun anew when that is cut off: the local
    /// runtime does not survive every eviction, is started again, and has forgotten what was asked.
    async fn ready(&self, number: usize, evictions: &Evictions) -> Result<Run> {
        wait_until("a run is ready", PATIENCE, || async {
            let person = Person::invited(&self.stack, &format!("run {number}")).await?;
            let run = Run::begin(&person, &self.anyone).await?;
            for (class, nth) in evictions {
                let object = run.object(class).unwrap_or_else(|| NEXT.to_owned());
                self.faults.evict(class, &object, *nth).await?;
            }
            Ok(Some(run))
        })
        .await
    }

    /// Plays the script with these evictions. Fails when it ends otherwise than undisturbed.
    async fn disturbed(&self, number: usize, evictions: &Evictions) -> Result {
        let run = self.ready(number, evictions).await?;
        let ended = run.play().await?;
        let armed = self.faults.armed().await?;
        let done = armed.iter().filter(|one| one.done_at.is_some());
        let mine = done.filter(|one| ended.has(&one.class, &one.name)).count();
        self.done.fetch_add(mine, Ordering::Relaxed);
        match difference(&self.expected, &ended.state, "") {
            None => Ok(()),
            Some(difference) => Err(failure(difference)),
        }
    }
}

/// The first place at which two values differ, with both.
fn difference(expected: &Value, found: &Value, place: &str) -> Option<String> {
    let differ = || format!("{place}: {found:#} instead of {expected:#}");
    match (expected, found) {
        (Value::Object(expected), Value::Object(found)) if expected.len() == found.len() => {
            expected.iter().find_map(|(name, value)| {
                let other = found.get(name).unwrap_or(&Value::Null);
                difference(value, other, &format!("{place}/{name}"))
            })
        }
        (Value::Array(expected), Value::Array(found)) if expected.len() == found.len() => {
            let mut pairs = expected.iter().zip(found).enumerate();
            pairs.find_map(|(at, (one, other))| difference(one, other, &format!("{place}/{at}")))
        }
        _ => (expected != found).then(differ),
    }
}

/// Every how manieth run is played. All of them take minutes; `SAM_E2E_EVICTIONS=all` plays them.
fn every() -> usize {
    let all = std::env::var("SAM_E2E_EVICTIONS").is_ok_and(|wanted| wanted == "all");
    if all { 1 } else { 10 }
}

/// Evictions that together cover every point: `points` says how many each class has.
fn plan(points: &[(&'static str, usize)]) -> Vec<Evictions> {
    let runs = points.iter().map(|(_, count)| *count).max().unwrap_or(0);
    let apart = |run: usize, class: usize| run + class * runs / points.len();
    (0..runs)
        .map(|run| {
            let of_class = |(class, (name, count)): (usize, &(&'static str, usize))| {
                (*name, apart(run, class) % count + 1)
            };
            points.iter().enumerate().map(of_class).collect()
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_eviction_at_any_point_changes_no_end() -> Result {
    let stack = Stack::start_with(StackOptions {
        fault_injection: true,
        ..StackOptions::default()
    })
    .await?;
    let anyone = stack.anyone()?;
    let faults = Faults::of(&anyone);
    let first = Person::invited(&stack, "undisturbed").await?;
    let undisturbed = Run::begin(&first, &anyone).await?.play().await?;
    let counting = ACTORS.map(|class| {
        let (faults, undisturbed) = (&faults, &undisturbed);
        async move {
            let passed = faults.passed(class, undisturbed.name(class)?).await?;
            Result::Ok((class, passed.len()))
        }
    });
    let points = try_join_all(counting).await?;
    let plan: Vec<_> = plan(&points).into_iter().step_by(every()).collect();
    let stage = Stage {
        stack,
        anyone,
        faults,
        expected: undisturbed.state,
        done: AtomicUsize::new(0),
    };
    let next = AtomicUsize::new(0);
    let lanes = (0..LANES).map(|_| async {
        let mut wrong = Vec::new();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(evictions) = plan.get(number) else {
                return wrong;
            };
            if let Err(error) = stage.disturbed(number, evictions).await {
                wrong.push(format!("{evictions:?}: {error:?}"));
            }
        }
    });
    let wrong: Vec<String> = join_all(lanes).await.into_iter().flatten().collect();
    if let Some(first) = wrong.first() {
        let count = wrong.len();
        return Err(failure(format!("{count} runs ended otherwise; {first}")));
    }
    let (done, asked) = (stage.done.into_inner(), plan.len() * points.len());
    println!("{done} of {asked} evictions done; points: {points:?}");
    ensure(done * 4 > asked, || {
        format!("{done} of {asked} evictions were done")
    })
}
