//! What is about the program itself: completions, manual pages, the harness beside it.

#![expect(clippy::unwrap_used, reason = "what a test relies on fails it")]

mod support;

use std::path::Path;
use support::program::Program;
use tempfile::TempDir;
use tokio::process::Command;

/// Nobody listens there, and nothing here asks.
const NOWHERE: &str = "http://127.0.0.1:9";

/// Makes a program out of a script. By a shell, because what this process itself writes could still be
/// held open by something that another test starts just then.
async fn script(path: &Path, text: &str) {
    let made = Command::new("/bin/sh")
        .args([
            "-c",
            "printf '%s' \"$2\" > \"$1\" && chmod 755 \"$1\"",
            "sh",
        ])
        .arg(path)
        .arg(text)
        .status()
        .await;
    assert!(made.unwrap().success());
}

/// The program in a folder of its own, where no harness lies beside it.
fn apart(program: Program) -> (TempDir, Program) {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let program = program.installed_at(&folder.path().join("sam"));
    (folder, program)
}

#[tokio::test]
async fn each_shell_gets_completions_of_every_command() {
    let program = Program::new(NOWHERE);
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ran = program.run(&["completions", shell]).await;
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{shell}");
        for word in ["upgrade", "join-token", "permission-mode"] {
            assert!(ran.stdout.contains(word), "{shell}: {word}");
        }
    }
    let ran = program.run(&["completions", "sh"]).await;
    assert_eq!(ran.code, 2);
    assert!(
        ran.stderr
            .contains("[possible values: bash, elvish, fish, powershell, zsh]"),
        "{ran:?}"
    );
}

#[tokio::test]
async fn what_bash_gets_is_bash() {
    let program = Program::new(NOWHERE);
    let ran = program.run(&["completions", "bash"]).await;
    let line = "COMP_WORDS=(sam up); COMP_CWORD=1; _sam sam up sam; echo \"${COMPREPLY[*]}\"";
    let output = Command::new("bash")
        .args([
            "--norc",
            "--noprofile",
            "-c",
            &format!("{}\n{line}", ran.stdout),
        ])
        .output()
        .await
        .unwrap();
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "upgrade\n",
        "{output:?}"
    );
}

#[tokio::test]
async fn every_command_has_a_manual_page() {
    let program = Program::new(NOWHERE);
    program.run(&["man", "share/man1"]).await.expect(0, "");
    let folder = program.home.path().join("share/man1");
    for name in [
        "sam.1",
        "sam-upgrade.1",
        "sam-task-submit.1",
        "sam-project-members-add.1",
    ] {
        assert!(folder.join(name).is_file(), "{name}");
    }
    let page = std::fs::read_to_string(folder.join("sam-completions.1")).unwrap();
    let from = page.find(".SH NAME").unwrap();
    assert_eq!(
        &page[from..],
        ".SH NAME\n\
         sam\\-completions \\- Print what makes a shell complete commands\n\
         .SH SYNOPSIS\n\
         \\fBsam completions\\fR [\\fB\\-\\-json\\fR] [\\fB\\-\\-no\\-pager\\fR] [\\fB\\-\\-profile\\fR] [\\fB\\-h\\fR|\\fB\\-\\-help\\fR] <\\fISHELL\\fR> \n\
         .SH DESCRIPTION\n\
         Print what makes a shell complete commands\n\
         .SH OPTIONS\n\
         .TP\n\\fB\\-\\-json\\fR\nPrint data as JSON\n\
         .TP\n\\fB\\-\\-no\\-pager\\fR\nPrint what is long without a pager\n\
         .TP\n\\fB\\-\\-profile\\fR \\fI<NAME>\\fR\nThe profile: a server and who you are there [default: the usual one]\n\
         .TP\n\\fB\\-h\\fR, \\fB\\-\\-help\\fR\nPrint help\n\
         .TP\n<\\fISHELL\\fR>\nThe shell\n.br\n\n.br\n\
         \\fIPossible values:\\fR\n.RS 14\n\
         .IP \\(bu 2\nbash\n.IP \\(bu 2\nelvish\n.IP \\(bu 2\nfish\n\
         .IP \\(bu 2\npowershell\n.IP \\(bu 2\nzsh\n.RE\n"
    );
}

#[tokio::test]
async fn the_harness_gets_its_arguments_and_its_end_is_the_end() {
    let program = Program::new(NOWHERE);
    let folder = program.home.path().join("bin");
    std::fs::create_dir(&folder).unwrap();
    script(
        &folder.join("sam-harness"),
        "#!/bin/sh\nprintf '<%s>' \"$@\"\nread line\necho \"$line\"\nexit 3\n",
    )
    .await;
    let (_own, program) = apart(program);
    let program = program.env("PATH", folder.to_str().unwrap());
    let arguments = ["harness", "run", "-p", "a b", "--json", "--help", "--", "x"];
    let ran = program.run_with(&arguments, "heard\n").await;
    ran.expect(3, "<run><-p><a b><--json><--help><--><x>heard\n");
}

#[tokio::test]
async fn a_harness_that_is_not_installed_is_said_to_be_none() {
    let (_own, program) = apart(Program::new(NOWHERE));
    let ran = program
        .env("PATH", "/nowhere")
        .run(&["harness", "run"])
        .await;
    ran.expect_error(
        4,
        &format!(
            "error: sam-harness is not installed.\n\
             hint: Put it beside sam or on the PATH; a server hands it out at \
             /api/harness/download?os={}&arch={}.\n",
            std::env::consts::OS,
            std::env::consts::ARCH
        ),
    );
}
