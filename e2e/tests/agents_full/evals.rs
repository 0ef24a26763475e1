//! Agents of other makers on a task of the evaluation, with the model held fixed.

use sam_e2e::agents::alone::installed;
use sam_e2e::evals::{Evaluation, number, rows, suite, text};
use sam_e2e::{Result, ensure, failure};

/// Runs an installed agent's program beside our own on one task, which both solve.
async fn compete(agent: &str, program: &str, dialect: &str) -> Result {
    let program = installed(agent).await?.join(program);
    let evaluation = Evaluation::new(&suite())?;
    let program = program.to_string_lossy();
    let (said, report) = evaluation
        .report(
            "one.json",
            &[
                "--only",
                "bug-fix",
                "--model",
                "solver/scripted",
                "--agent",
                "sam-harness",
                "--agent",
                &program,
            ],
        )
        .await?;
    let whole = || format!("{}\n{}\n{report}", said.stdout, said.stderr);
    println!("{}", said.stdout);
    let [own, other] = rows(&report) else {
        return Err(failure(whole()));
    };
    for row in [own, other] {
        ensure(number(row, "/summary/passed/mean") == Some(1.0), whole)?;
        ensure(number(row, "/summary/tokens/mean") > Some(0.0), whole)?;
        ensure(number(row, "/summary/unmetered") == Some(0.0), whole)?;
    }
    ensure(text(other, "/provider") == dialect, whole)
}

#[tokio::test]
async fn goose_is_evaluated_with_the_same_model() -> Result {
    let program = sam_domain::agents::agent("goose").and_then(|agent| agent.package);
    let program = program.ok_or_else(|| failure("goose is not installed from npm"))?;
    compete("goose", program.executable, "chat").await
}

#[tokio::test]
async fn codex_is_evaluated_with_the_same_model() -> Result {
    compete("codex", ".bin/codex-acp", "responses").await
}
