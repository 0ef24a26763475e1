//! What `--help` says, command by command, against a golden file. After a
//! change that is meant: `SAM_UPDATE_GOLDEN=1 cargo test -p sam-cli --test help`.

mod support;

use support::program::Program;

const COMMANDS: &[&str] = &[
    "",
    "auth",
    "auth login",
    "auth status",
    "auth logout",
    "auth link",
    "project",
    "project create",
    "project list",
    "project use",
    "project show",
    "task",
    "task submit",
    "task prompt",
    "task status",
    "task list",
    "task follow",
    "task cancel",
    "task close",
    "task diff",
    "node",
    "node list",
    "node join-token",
];

#[tokio::test]
async fn help_says_what_the_golden_file_says() {
    let program = Program::new("http://127.0.0.1:9");
    let mut all = String::new();
    for command in COMMANDS {
        let mut arguments: Vec<&str> = command.split_whitespace().collect();
        arguments.push("--help");
        let ran = program.run(&arguments).await;
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{command}");
        all.push_str(&format!("$ sam {}\n{}\n", arguments.join(" "), ran.stdout));
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/help.txt");
    if std::env::var_os("SAM_UPDATE_GOLDEN").is_some() {
        std::fs::write(path, &all).unwrap();
    }
    let golden = std::fs::read_to_string(path).unwrap();
    assert!(all == golden, "the help changed:\n{all}");
}

#[tokio::test]
async fn a_reader_that_leaves_is_no_error() {
    let program = Program::new("http://127.0.0.1:9");
    let mut child = program.command(&["--help"]).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().await.unwrap();
    assert!(output.stderr.is_empty(), "{output:?}");
}
