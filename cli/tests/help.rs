//! How help behaves. What it says, command by command, is the generated page
//! `docs/cli.md`.

mod support;

use support::program::Program;

#[tokio::test]
async fn a_reader_that_leaves_is_no_error() {
    let program = Program::new("http://127.0.0.1:9");
    let mut child = program.command(&["--help"]).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().await.unwrap();
    assert!(output.stderr.is_empty(), "{output:?}");
}
