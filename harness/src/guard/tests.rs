//! The guard: which calls run, are asked about, or are refused.

use super::*;
use crate::sandbox::SandboxChoice;

/// Gives its answers in turn, and keeps what it was asked.
#[derive(Default)]
struct Scripted {
    answers: Mutex<Vec<Option<&'static str>>>,
    asked: Mutex<Vec<Vec<String>>>,
}

impl Person for Scripted {
    fn ask<'a>(&'a self, _: &'a ToolCallUpdate, options: &'a [PermissionOption]) -> Asked<'a> {
        let names = options.iter().map(|option| option.name.clone()).collect();
        self.asked.lock().unwrap().push(names);
        let answer = self.answers.lock().unwrap().pop();
        let outcome =
            answer
                .expect("nobody expected a question")
                .map(|option| PermissionOutcome::Selected {
                    option: option.to_owned(),
                });
        Box::pin(async move { outcome })
    }
}

pub(super) fn guard(mode: PermissionMode, allow: &[&str], deny: &[&str]) -> Guard {
    let owned = |rules: &[&str]| rules.iter().map(|rule| (*rule).to_owned()).collect();
    let args = GuardArgs {
        permission_mode: Some(mode),
        allow_command: owned(allow),
        deny_command: owned(deny),
        sandbox: SandboxArgs {
            sandbox: SandboxChoice::Off,
            ..SandboxArgs::default()
        },
    };
    let sandbox = Arc::new(Sandbox::new(&args.sandbox).unwrap());
    Guard::new(&args, PermissionMode::Full, sandbox)
}

/// Admits calls one after the other; the number of questions and what was
/// admitted.
async fn check(
    guard: &Guard,
    answers: &[Option<&'static str>],
    calls: &[(Access<'_>, bool)],
) -> Vec<Vec<String>> {
    let person = Scripted {
        answers: Mutex::new(answers.iter().rev().copied().collect()),
        ..Scripted::default()
    };
    for (access, expected) in calls {
        let got = guard.admit(*access, &ToolCall::default(), &person).await;
        assert_eq!(got.is_ok(), *expected, "{access:?}: {got:?}");
    }
    assert!(person.answers.lock().unwrap().is_empty(), "asked less");
    person.asked.into_inner().unwrap()
}

const LIST: Access<'_> = Access::Command("ls");
const PUSH: Access<'_> = Access::Command("git push");
const TOOL: Access<'_> = Access::Server("s__t");

#[tokio::test]
async fn each_mode_asks_for_what_it_says() {
    let all = |read, edit, command, tool| {
        [
            (Access::Read, read),
            (Access::Edit, edit),
            (LIST, command),
            (TOOL, tool),
        ]
    };
    let read_only = guard(PermissionMode::ReadOnly, &[], &[]);
    // Whether a command then runs is the sandbox's word.
    check(&read_only, &[], &all(true, false, true, false)).await;
    let ask = guard(PermissionMode::Ask, &[], &[]);
    check(&ask, &[Some(ALLOW); 3], &all(true, true, true, true)).await;
    check(&ask, &[Some(REJECT); 3], &all(true, false, false, false)).await;
    check(&ask, &[None; 3], &all(true, false, false, false)).await;
    let accept = guard(PermissionMode::AcceptEdits, &[], &[]);
    check(&accept, &[None; 2], &all(true, true, false, false)).await;
    let full = guard(PermissionMode::Full, &[], &[]);
    check(&full, &[], &all(true, true, true, true)).await;
    full.set_mode(PermissionMode::ReadOnly);
    check(&full, &[], &all(true, false, true, false)).await;
}

#[tokio::test]
async fn the_policy_settles_commands_before_anyone_is_asked() {
    let ask = guard(PermissionMode::Ask, &["ls"], &["git push"]);
    check(&ask, &[], &[(LIST, true), (PUSH, false)]).await;
    let full = guard(PermissionMode::Full, &["git push"], &["git push"]);
    check(&full, &[], &[(PUSH, false)]).await;
}

#[tokio::test]
async fn an_answer_may_hold_for_the_session() {
    let ask = guard(PermissionMode::Ask, &[], &["git push"]);
    let build = Access::Command("cargo build");
    let release = Access::Command("cargo build --release");
    let test = Access::Command("cargo test");
    let asked = check(
        &ask,
        &[Some(ALLOW_ALWAYS), Some(REJECT_ALWAYS)],
        &[
            (build, true),
            (release, true),
            (test, false),
            (test, false),
            (PUSH, false),
        ],
    )
    .await;
    let allow = "Allow commands that begin with `cargo build` in this session";
    assert_eq!(asked[0][1], allow);
    assert_eq!(asked[1][3], "Reject this very command in this session");
    let piped = Access::Command("ls | sh");
    let other = Access::Command("ls | sh -x");
    check(
        &ask,
        &[Some(ALLOW_ALWAYS), Some(REJECT)],
        &[(piped, true), (piped, true), (other, false)],
    )
    .await;
    check(
        &ask,
        &[Some(ALLOW_ALWAYS), Some(ALLOW_ALWAYS)],
        &[
            (Access::Edit, true),
            (Access::Edit, true),
            (TOOL, true),
            (TOOL, true),
        ],
    )
    .await;
}

#[tokio::test]
async fn nobody_to_ask_is_a_refusal_that_says_what_would_allow_it() {
    struct Nobody;
    impl Person for Nobody {
        fn ask<'a>(&'a self, _: &'a ToolCallUpdate, _: &'a [PermissionOption]) -> Asked<'a> {
            Box::pin(async { None })
        }
    }
    let ask = guard(PermissionMode::Ask, &[], &[]);
    let refused = ask.admit(LIST, &ToolCall::default(), &Nobody).await;
    let words = refused.unwrap_err();
    assert!(
        words.contains("permission mode ask") && words.contains("--allow-command"),
        "{words}"
    );
}

#[test]
fn every_mode_is_found_by_its_word() {
    for mode in PermissionMode::ALL {
        assert_eq!(PermissionMode::named(mode.word()), Some(mode));
    }
    assert_eq!(PermissionMode::named("yolo"), None);
}
