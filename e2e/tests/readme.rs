//! What README.md tells a person to type, typed.
//!
//! Every fenced block of shell in README.md says what becomes of it here:
//!
//! - ```` ```sh run ```` is executed, in the order of the page, in one shell, as a person would after
//!   `scripts/demo`: the demo's commands exist under `.sam/demo`, its project is the current one and
//!   its first task is done. `http://127.0.0.1:8787` stands for wherever the demo serves.
//! - ```` ```sh not run here: <reason> ```` is not.
//!
//! A ```` ```text ```` block right after an executed one is what it prints: each of its lines must
//! occur, in this order, and `…` stands for anything. A block that says neither fails the test.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use sam_e2e::process::Process;
use sam_e2e::repository::sample;
use sam_e2e::{Result, Stack, StackOptions, ensure, failure, programs, within};
use tokio::process::Command;

/// Where the page says the demo serves.
const ADDRESS: &str = "http://127.0.0.1:8787";
/// How long everything the page says may take.
const PATIENCE: Duration = Duration::from_secs(240);
/// What the demo asks the agent to do.
const TASK: &str = "A test of this repository fails. Find the cause, fix the code and not the test, \
                    and run the tests until all of them pass.";

/// A fenced block of the page.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Block {
    /// The line of its fence.
    line: usize,
    /// What stands behind the fence.
    kind: String,
    text: String,
}

fn blocks(page: &str) -> Vec<Block> {
    let mut found = Vec::new();
    let mut open: Option<Block> = None;
    for (index, line) in page.lines().enumerate() {
        match (line.strip_prefix("```"), open.take()) {
            (Some(_), Some(block)) => found.push(block),
            (Some(kind), None) => {
                open = Some(Block {
                    line: index + 1,
                    kind: kind.to_owned(),
                    text: String::new(),
                });
            }
            (None, Some(mut block)) => {
                block.text.push_str(line);
                block.text.push('\n');
                open = Some(block);
            }
            (None, None) => {}
        }
    }
    found
}

/// A block that is executed, and what it prints.
struct Step {
    line: usize,
    commands: String,
    prints: Option<String>,
}

fn steps(page: &str) -> Result<Vec<Step>> {
    let mut steps = Vec::new();
    let mut blocks = blocks(page).into_iter().peekable();
    while let Some(block) = blocks.next() {
        let place = format!("README.md:{}", block.line);
        if block.kind == "sh run" {
            let prints = blocks.next_if(|next| next.kind == "text");
            steps.push(Step {
                line: block.line,
                commands: block.text,
                prints: prints.map(|prints| prints.text),
            });
        } else if let Some(reason) = block.kind.strip_prefix("sh not run here:") {
            ensure(reason.trim().len() > 10, || {
                format!("{place} does not say why it is not run")
            })?;
        } else {
            ensure(block.kind == "text", || {
                format!(
                    "{place} is {:?}: neither `sh run`, nor `sh not run here: …`, nor `text`",
                    block.kind
                )
            })?;
        }
    }
    Ok(steps)
}

/// Whether the line says what is expected, where `…` stands for anything.
fn says(line: &str, expected: &str) -> bool {
    let mut rest = line.trim();
    let mut parts = expected.trim().split('…');
    let first = parts.next().unwrap_or_default();
    let Some(after) = rest.strip_prefix(first) else {
        return false;
    };
    rest = after;
    let mut last = first;
    let mut open = false;
    for part in parts {
        open = true;
        last = part;
        match rest.split_once(part) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    rest.is_empty() || (open && last.is_empty())
}

fn check_output(step: &Step, output: &str) -> Result {
    let Some(expected) = &step.prints else {
        return Ok(());
    };
    let mut lines = output.lines();
    for expected in expected.lines().filter(|line| !line.trim().is_empty()) {
        ensure(lines.any(|line| says(line, expected)), || {
            format!(
                "README.md:{}: {expected:?} was not printed, or not in its place:\n{output}",
                step.line
            )
        })?;
    }
    Ok(())
}

/// The directory of a person who cloned the repository and ran the demo.
fn clone_of(stack: &Stack) -> Result<PathBuf> {
    let clone = stack.directory().join("clone");
    std::fs::create_dir_all(clone.join(".sam/demo"))?;
    let target = programs::native_directory()?;
    let target = target.parent().ok_or_else(|| failure("no target"))?;
    std::os::unix::fs::symlink(target, clone.join("target"))?;
    for name in ["scripts", "demo", "docs", "node_modules", "dist"] {
        std::os::unix::fs::symlink(programs::root().join(name), clone.join(name))?;
    }
    let sam = clone.join(".sam/demo/sam");
    let config = clone.join(".sam/demo/config");
    std::fs::write(
        &sam,
        format!(
            "#!/bin/sh\nXDG_CONFIG_HOME='{}' exec '{}' \"$@\"\n",
            config.display(),
            programs::native("sam")?.display()
        ),
    )?;
    std::fs::set_permissions(
        &sam,
        <std::fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o755),
    )?;
    Ok(clone)
}

/// One shell in the clone, with a home of its own. Returns what it said and how it ended.
async fn shell(stack: &Stack, clone: &Path, script: &str) -> Result<(bool, String)> {
    let home = stack.directory().join("person");
    std::fs::create_dir_all(&home)?;
    let child = Command::new("bash")
        .arg("-c")
        .arg(script)
        .current_dir(clone)
        .env_remove("SAM_API_URL")
        .env_remove("SAM_API_TOKEN")
        .env_remove("SAM_PROJECT")
        .env("HOME", &home)
        .env("PATH", programs::path())
        .env("NO_COLOR", "1")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let output = within("the shell", PATIENCE, child.wait_with_output()).await??;
    let mut said = String::from_utf8_lossy(&output.stdout).into_owned();
    write!(said, "{}", String::from_utf8_lossy(&output.stderr))?;
    Ok((output.status.success(), said))
}

/// What the demo has done when the page's commands begin.
async fn as_after_the_demo(stack: &Stack, clone: &Path) -> Result {
    let repository = sample(stack.directory(), "demo-repository")?;
    let script = format!(
        "set -euo pipefail\n\
         sam=.sam/demo/sam\n\
         $sam auth login --url {} --claim - --name you <'{}'\n\
         $sam project create --repo '{}' --name demo --agent sam-harness\n\
         umask 077\n\
         token=$($sam node join-token)\n\
         printf %s \"$token\" >join\n",
        stack.url(),
        stack.state_directory().join("claim-token").display(),
        repository.display(),
    );
    let (ended_well, said) = shell(stack, clone, &script).await?;
    ensure(ended_well, || said)
}

/// The machine that the demo starts; it stops with the test.
fn laptop(stack: &Stack, clone: &Path) -> Result<Process> {
    let mut command = std::process::Command::new(programs::native("sam-vm-agent")?);
    command
        .args(["run", "--name", "laptop", "--url", stack.url()])
        .arg("--state-dir")
        .arg(clone.join(".sam/demo/node"))
        .arg("--agent-path")
        .arg(programs::native_directory()?)
        .env(
            "SAM_JOIN_TOKEN",
            std::fs::read_to_string(clone.join("join"))?,
        )
        .env("PATH", programs::path());
    Process::start("laptop", command, stack.directory())
}

/// The page's blocks as one script, with a mark before the output of each.
fn script(stack: &Stack, steps: &[Step]) -> Result<String> {
    let mut script = String::from(
        "set -euo pipefail\nexec 2>&1\ntrap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n",
    );
    for step in steps {
        writeln!(script, "echo; echo '=== {}'", step.line)?;
        writeln!(script, "{}", step.commands.replace(ADDRESS, stack.url()))?;
    }
    writeln!(script, "echo; echo '=== end'")?;
    Ok(script)
}

#[tokio::test]
async fn what_the_page_says_to_type_works() -> Result {
    let page = std::fs::read_to_string(programs::root().join("README.md"))?;
    let steps = steps(&page)?;
    ensure(steps.len() >= 3, || "README.md runs hardly anything".into())?;
    let stack = Stack::start_unclaimed(StackOptions {
        web: true,
        ..StackOptions::default()
    })
    .await?;
    let clone = clone_of(&stack)?;
    as_after_the_demo(&stack, &clone).await?;
    let _laptop = laptop(&stack, &clone)?;
    let first = format!(".sam/demo/sam task submit '{TASK}' --follow");
    let (ended_well, said) = shell(&stack, &clone, &first).await?;
    ensure(ended_well, || said)?;
    let (ended_well, said) = shell(&stack, &clone, &script(&stack, &steps)?).await?;
    ensure(ended_well, || format!("the shell failed:\n{said}"))?;
    for step in &steps {
        let mark = format!("\n=== {}\n", step.line);
        let output = said
            .split_once(&mark)
            .map(|(_, rest)| rest.split("\n=== ").next().unwrap_or_default())
            .ok_or_else(|| failure(format!("README.md:{} was not reached:\n{said}", step.line)))?;
        check_output(step, output)?;
    }
    Ok(())
}

#[test]
fn links_between_the_pages_lead_somewhere() -> Result {
    let root = programs::root();
    let mut pages = Vec::new();
    for folder in [root.clone(), root.join("docs")] {
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "md") {
                pages.push(path);
            }
        }
    }
    let mut followed = 0;
    for page in &pages {
        let text = std::fs::read_to_string(page)?;
        let targets = text.split("](").skip(1);
        for target in targets.filter_map(|rest| rest.split([')', '#']).next()) {
            if target.is_empty() || target.contains("://") {
                continue;
            }
            followed += 1;
            let path = page.parent().unwrap_or(&root).join(target);
            ensure(path.exists(), || {
                format!("{}: {target} leads nowhere", page.display())
            })?;
        }
    }
    ensure(followed > 5, || "hardly a link was found".into())
}

#[test]
fn an_ellipsis_stands_for_anything() {
    for (line, expected, holds) in [
        ("a b c", "a b c", true),
        ("a b c", "a … c", true),
        ("a b c", "a …", true),
        ("a b c", "… c", true),
        ("  a b c", "a b c", true),
        ("a b c", "a b", false),
        ("a b c", "a … d", false),
        ("a b c", "… b", false),
    ] {
        assert_eq!(says(line, expected), holds, "{line:?} as {expected:?}");
    }
}

#[test]
fn a_block_of_unknown_kind_is_refused() {
    assert!(steps("```sh run\ntrue\n```\n```text\nx\n```\n").is_ok_and(|steps| steps.len() == 1));
    assert!(steps("```sh not run here: it needs an account\nx\n```\n").is_ok());
    for page in [
        "```sh\ntrue\n```\n",
        "```sh not run here:\nx\n```\n",
        "```bash\nx\n```\n",
    ] {
        assert!(steps(page).is_err(), "{page}");
    }
}
