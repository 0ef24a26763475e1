//! `sam-harness eval`: the suite told apart by scripted models of known manners, and what an
//! evaluation keeps from agents.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use sam_e2e::evals::{Evaluation, KEY, list, number, rows, suite, text};
use sam_e2e::{Result, ensure, failure, programs, wait_until};
use serde_json::Value;

/// Those that the suite was made for.
const NAMED: [&str; 5] = [
    "bug-fix",
    "multi-file-rename",
    "codebase-navigation",
    "test-diagnosis",
    "refactor-to-named-export",
];

fn outcomes<'a>(row: &'a Value, outcome: &'a str) -> BTreeSet<&'a str> {
    let attempts = list(row, "/attempts").iter();
    attempts
        .filter(|attempt| text(attempt, "/outcome") == outcome)
        .map(|attempt| text(attempt, "/task"))
        .collect()
}

/// One run for all of it: each task passes with its reference solution, applied through tools, and
/// fails for an agent that does nothing, which leaves it untouched.
#[tokio::test]
async fn the_suite_tells_a_solver_an_idler_and_a_bungler_apart() -> Result {
    let evaluation = Evaluation::new(&suite())?;
    let page = evaluation.path("page.html");
    let page = page.to_string_lossy();
    let models = [
        "--model",
        "solver/scripted",
        "--model",
        "responses:idle/scripted",
        "--model",
        "messages:clumsy/scripted",
    ];
    let further = ["--jobs", "3", "--html", &page, "--price", "1,10"];
    let (said, report) = evaluation
        .report("all.json", &[&models[..], &further].concat())
        .await?;
    let whole = || format!("{}\n{}", said.stdout, said.stderr);
    ensure(said.code == Some(0), whole)?;

    let (mut tasks, mut skipped, mut languages) = (Vec::new(), 0, BTreeSet::new());
    for task in list(&report, "/tasks") {
        let name = text(task, "/name");
        if let Some(why) = task.get("skipped") {
            println!("{name} is skipped: {why}");
            ensure(said.stdout.contains("– skipped: "), whole)?;
            skipped += 1;
        } else {
            tasks.push(name);
            languages.insert(text(task, "/language"));
        }
    }
    ensure(tasks.len() + skipped >= 15 && tasks.len() >= 12, || {
        format!("only {} tasks", tasks.len())
    })?;
    ensure(languages.len() >= 3, || format!("only {languages:?}"))?;
    let missing: Vec<&&str> = NAMED.iter().filter(|name| !tasks.contains(name)).collect();
    ensure(missing.is_empty(), || format!("{missing:?} are missing"))?;

    let [solver, idle, clumsy] = rows(&report) else {
        return Err(failure(whole()));
    };
    let all: BTreeSet<&str> = tasks.iter().copied().collect();
    let solved = outcomes(solver, "passed");
    ensure(solved == all, || {
        let left: Vec<_> = all.difference(&solved).collect();
        format!("not solved: {left:?}\n{}", whole())
    })?;
    let untouched = outcomes(idle, "failed");
    ensure(untouched == all, || {
        format!("the idle one: {untouched:?}\n{}", whole())
    })?;
    let some = outcomes(clumsy, "passed");
    ensure(!some.is_empty() && some.len() < all.len(), || {
        format!("the clumsy one: {some:?}\n{}", whole())
    })?;
    ensure(
        some.len() + outcomes(clumsy, "failed").len() == all.len(),
        whole,
    )?;

    for (row, provider) in [(solver, "chat"), (idle, "responses"), (clumsy, "messages")] {
        ensure(text(row, "/provider") == provider, || row.to_string())?;
        ensure(row.get("scripted") == Some(&Value::Bool(true)), || {
            row.to_string()
        })?;
        for figure in ["turns", "tokens", "cost", "seconds"] {
            let mean = number(row, &format!("/summary/{figure}/mean"));
            ensure(mean > Some(0.0), || format!("{provider}: no {figure}"))?;
        }
        ensure(number(row, "/summary/unmetered") == Some(0.0), || {
            row.to_string()
        })?;
        // What the proxy counted is what the gateway charges: a dollar in, ten out, for a million.
        for attempt in list(row, "/attempts") {
            let tokens = |which| number(attempt, which).unwrap_or_default();
            let owed = tokens("/usage/input") + 10.0 * tokens("/usage/output");
            let cost = number(attempt, "/cost").unwrap_or_default();
            let turns = tokens("/turns");
            ensure((cost - owed).abs() <= turns, || attempt.to_string())?;
        }
    }
    let mean = |row, figure: &str| number(row, &format!("/summary/{figure}")).unwrap_or_default();
    let count = tasks.len() as f64;
    ensure(mean(idle, "turns/mean") == count, whole)?;
    ensure(mean(solver, "turns/mean") >= 2.0 * count, whole)?;
    ensure(number(idle, "/summary/cost_per_success").is_none(), whole)?;
    ensure(
        mean(clumsy, "cost_per_success") > mean(solver, "cost_per_success"),
        whole,
    )?;
    ensure(mean(solver, "reads/again") == 0.0, whole)?;
    ensure(mean(clumsy, "reads/again") >= count, whole)?;

    let page = std::fs::read_to_string(evaluation.path("page.html"))?;
    ensure(page.contains("<svg") && !page.contains("<script"), || {
        page.clone()
    })?;
    let everything = [&said.stdout, &said.stderr, &page, &report.to_string()];
    ensure(everything.iter().all(|text| !text.contains(KEY)), whole)?;
    let left = evaluation.left_over()?;
    ensure(left.is_empty(), || format!("{left:?} is left over"))
}

#[tokio::test]
async fn an_agent_over_acp_is_counted_by_the_same_rule_and_runs_are_compared() -> Result {
    let evaluation = Evaluation::new(&suite())?;
    let harness = programs::native("sam-harness")?;
    let acp = format!("{} acp", harness.display());
    let common = [
        "--only",
        "flaky-test,shell-quoting",
        "--repeats",
        "2",
        "--jobs",
        "2",
    ];
    let agents = [
        "--agent",
        "sam-harness",
        "--agent",
        &acp,
        "--model",
        "clumsy/scripted",
    ];
    let (said, clumsy) = evaluation
        .report("clumsy.json", &[&common[..], &agents].concat())
        .await?;
    let whole = || format!("{}\n{}", said.stdout, said.stderr);
    ensure(said.code == Some(0), whole)?;
    let [own, other] = rows(&clumsy) else {
        return Err(failure(whole()));
    };
    ensure(text(own, "/agent") == "sam-harness", whole)?;
    ensure(text(other, "/agent") == "sam-harness acp", whole)?;
    for figure in [
        "passed/mean",
        "turns/mean",
        "reads/all",
        "reads/again",
        "rounds",
    ] {
        let of = |row| number(row, &format!("/summary/{figure}"));
        ensure(of(own).is_some() && of(own) == of(other), || {
            format!("{figure}: {:?}, {:?}\n{}", of(own), of(other), whole())
        })?;
    }
    ensure(number(own, "/summary/reads/again") > Some(0.0), whole)?;
    ensure(list(own, "/attempts").len() == 4, whole)?;

    let solver = ["--model", "solver/scripted"];
    evaluation
        .report("solver.json", &[&common[..], &solver].concat())
        .await?;
    let files = ["clumsy.json", "solver.json"].map(|name| evaluation.path(name));
    let [before, after] = files.each_ref().map(|path| path.to_string_lossy());
    let same = evaluation.run(&["--compare", &before, &before]).await?;
    ensure(
        same.code == Some(0) && same.stdout.contains("2 tasks in both runs"),
        || same.stdout.clone(),
    )?;
    ensure(!same.stdout.contains("came out otherwise"), || {
        same.stdout.clone()
    })?;
    let differ = evaluation
        .run(&["--compare", &before, &after, "--json", "-"])
        .await?;
    let differ: Value = serde_json::from_str(&differ.stdout)?;
    ensure(list(&differ, "/only_before").len() == 2, || {
        differ.to_string()
    })?;
    ensure(list(&differ, "/only_after").len() == 1, || {
        differ.to_string()
    })
}

/// Writes an executable script.
fn script(path: &Path, text: &str) -> Result {
    std::fs::write(path, format!("#!/bin/sh\n{text}"))?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755))?;
    Ok(())
}

#[tokio::test]
async fn an_agent_sees_the_repository_alone_and_is_ended_with_its_children_at_the_limit() -> Result
{
    let evaluation = Evaluation::new(&suite())?;
    let spy = evaluation.path("spy");
    script(
        &spy,
        "find .. | grep -v '/\\.git/' > \"$OUT.files\"\nenv > \"$OUT.env\"\nsleep 600 &\necho $! > \"$OUT.pid\"\ncat > /dev/null\n",
    )?;
    let out = evaluation.path("seen");
    let variable = format!("OUT={}", out.display());
    let (spy, dollar) = (spy.to_string_lossy(), "ASKED=$MODEL at $ORIGIN".to_owned());
    // A machine with much else to do takes longer to look around.
    let mut told = None;
    for limit in ["2", "10", "60"] {
        let words = [
            "--only",
            "bug-fix",
            "--agent",
            &spy,
            "--agent-env",
            &variable,
            "--agent-env",
            &dollar,
            "--model",
            "idle/scripted",
            "--time-limit",
            limit,
        ];
        told = Some(evaluation.report("spy.json", &words).await?);
        if std::fs::read(out.with_extension("pid")).is_ok_and(|pid| pid.ends_with(b"\n")) {
            break;
        }
    }
    let (said, report) = told.ok_or_else(|| failure("there was no limit to try"))?;
    let [row] = rows(&report) else {
        return Err(failure(said.stderr));
    };
    ensure(outcomes(row, "time_limit").contains("bug-fix"), || {
        report.to_string()
    })?;
    let seen = |kind: &str| std::fs::read_to_string(out.with_extension(kind));
    let (files, env) = (seen("files")?, seen("env")?);
    ensure(files.contains("../repository/src/money.js"), || {
        files.clone()
    })?;
    for hidden in ["check", "solution", "hidden", "task.json", "prompt.md"] {
        ensure(!files.contains(hidden), || {
            format!("{hidden} can be seen:\n{files}")
        })?;
    }
    let suite = suite();
    for hidden in [
        KEY,
        &suite.to_string_lossy(),
        &evaluation.gateway().model_url(),
    ] {
        ensure(!env.contains(hidden), || {
            format!("{hidden} can be seen:\n{env}")
        })?;
    }
    ensure(
        env.contains("ASKED=idle/scripted at http://127.0.0.1:"),
        || env.clone(),
    )?;
    let child = seen("pid")?;
    let process = Path::new("/proc").join(child.trim()).join("cmdline");
    wait_until("its child is gone", Duration::from_secs(60), || async {
        // One that nobody has waited for has no command line any more.
        let line = std::fs::read(&process).unwrap_or_default();
        Ok(line.is_empty().then_some(()))
    })
    .await
}

#[tokio::test]
async fn what_cannot_be_evaluated_is_said() -> Result {
    let evaluation = Evaluation::new(&suite())?;
    let tasks = evaluation.path("tasks");
    for (name, needs, check) in [
        ("elsewhere", "[\"no-such-compiler\"]", "true"),
        ("easy", "[]", "true"),
        ("impossible", "[]", "echo never; false"),
        ("sound", "[\"git 1.5\"]", "test -e made"),
    ] {
        let task = tasks.join(name);
        std::fs::create_dir_all(task.join("repository"))?;
        let described =
            format!("{{\"title\": \"T\", \"language\": \"Shell\", \"needs\": {needs}}}");
        std::fs::write(task.join("task.json"), described)?;
        std::fs::write(task.join("prompt.md"), "Make a file `made`.\n")?;
        std::fs::write(task.join("check.sh"), check)?;
        std::fs::write(task.join("solution.sh"), "touch made\n")?;
    }
    let dir = tasks.to_string_lossy();
    let verified = evaluation
        .run(&["--suite", &dir, "--verify", "--jobs", "4"])
        .await?;
    let line = |name: &str| {
        let found = verified.stdout.lines().find(|line| line.starts_with(name));
        found.unwrap_or_default().to_owned()
    };
    ensure(verified.code == Some(1), || verified.stdout.clone())?;
    for (name, told) in [
        ("elsewhere", "– skipped: no-such-compiler is missing"),
        ("easy", "✗ passes untouched"),
        ("impossible", "✗ fails with its solution: never"),
        ("sound", "✓ fails untouched, passes with its solution"),
    ] {
        ensure(line(name).contains(told), || verified.stdout.clone())?;
    }
    let listed = evaluation.run(&["--suite", &dir, "--list"]).await?;
    ensure(
        listed
            .stdout
            .contains("skipped: no-such-compiler is missing"),
        || listed.stdout.clone(),
    )?;

    let nobody = evaluation
        .run(&[
            "--only",
            "bug-fix",
            "--model",
            "m",
            "--agent",
            "no-such-agent",
        ])
        .await?;
    ensure(
        nobody.code == Some(1) && nobody.stderr.contains("no-such-agent does not start"),
        || nobody.stderr.clone(),
    )?;
    let modelless = evaluation.run(&[]).await?;
    ensure(
        modelless.code == Some(2) && modelless.stderr.contains("--model ID"),
        || modelless.stderr.clone(),
    )?;
    let nowhere = evaluation.run(&["--suite", "no/suite"]).await?;
    ensure(
        nowhere.code == Some(1) && nowhere.stderr.contains("--suite DIR"),
        || nowhere.stderr,
    )
}
