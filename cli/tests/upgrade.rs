//! `sam upgrade`: what it asks, what it says, and that nothing but the release takes its place.
//!
//! That the released program itself has nothing to do is tested from end to end, where it is no debug
//! build of a hundred megabytes.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "what a test relies on fails it"
)]

mod support;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use support::program::{DEADLINE, Program, Ran, TOKEN};
use support::server::Server;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufStream};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

/// A program of another version. What it is does not matter, but that it runs.
const OTHER: &str = "#!/bin/sh\necho sam 9.9.9\n";

const DAMAGED: &str = "error: The download does not have the checksum of the release; nothing was changed.\n\
    hint: Run this again. If it happens again, tell whoever runs the server.\n";

/// A server that releases, and an installed program.
struct Scene {
    server: Server,
    program: Program,
    folder: TempDir,
}

/// A release of something of this hash and length, for every platform that tests run on.
fn document(version: &str, sha256: &str, bytes: usize) -> Value {
    let download =
        |os: &str, arch: &str| json!({"os": os, "arch": arch, "sha256": sha256, "bytes": bytes});
    let downloads: Vec<Value> = [
        ("linux", "amd64"),
        ("linux", "arm64"),
        ("darwin", "amd64"),
        ("darwin", "arm64"),
    ]
    .map(|(os, arch)| download(os, arch))
    .into();
    json!({"version": version, "downloads": downloads})
}

fn sha256(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Scene {
    async fn new() -> Self {
        let server = Server::start().await;
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
        let program = Program::signed_in(&server.url).installed_at(&folder.path().join("sam"));
        Self {
            server,
            program,
            folder,
        }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("sam")
    }

    /// Releases something of this hash and length as `version`.
    fn release(&self, version: &str, sha256: &str, bytes: usize) {
        let document = document(version, sha256, bytes);
        self.server.on("GET", "/api/cli/version", 200, &document);
    }

    /// What comes when the release is downloaded.
    fn serve(&self, text: &str) {
        self.server
            .on_text("GET", "/api/cli/download", 200, text, &[]);
    }

    /// That the program is the very file that it was, alone in its folder.
    fn assert_untouched(&self) {
        let number = |path: &Path| std::fs::metadata(path).unwrap().ino();
        let first = Path::new(env!("CARGO_BIN_EXE_sam"));
        assert_eq!(number(&self.path()), number(first));
        self.assert_alone();
    }

    fn assert_alone(&self) {
        let names: Vec<_> = std::fs::read_dir(self.folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(names, ["sam"]);
    }

    async fn run(&self, arguments: &[&str]) -> Ran {
        let ran = self.program.run(arguments).await;
        // Releases are public: nobody is told who asks.
        for request in self.server.requests() {
            assert_eq!(request.header("authorization"), None);
        }
        ran
    }

    fn asked(&self) -> Vec<String> {
        let requests = self.server.requests();
        requests
            .into_iter()
            .map(|request| format!("{} {}", request.method, request.path))
            .collect()
    }
}

fn download_path() -> String {
    use sam_domain::release::{Arch, Os};
    let os = Os::named(std::env::consts::OS).unwrap().word();
    let arch = Arch::named(std::env::consts::ARCH).unwrap().word();
    format!("GET /api/cli/download?os={os}&arch={arch}")
}

#[tokio::test]
async fn a_check_says_what_there_is_and_changes_nothing() {
    let scene = Scene::new().await;
    scene.release("9.9.9", &sha256(OTHER.as_bytes()), OTHER.len());
    let ran = scene.run(&["upgrade", "--check"]).await;
    ran.expect(0, "sam 9.9.9 is released; this is 0.1.0.\n");
    assert_eq!(ran.stderr, "Install it with `sam upgrade`.\n");
    let ran = scene.run(&["--json", "upgrade", "--check"]).await;
    let said: Value = serde_json::from_str(&ran.stdout).unwrap();
    let expected = json!({
        "state": "available", "installed": "0.1.0", "released": "9.9.9", "path": scene.path(),
    });
    assert_eq!((ran.code, said), (0, expected));
    assert_eq!(
        scene.asked(),
        ["GET /api/cli/version", "GET /api/cli/version"]
    );
    scene.assert_untouched();
}

#[tokio::test]
async fn the_release_takes_the_place_of_the_program() {
    let scene = Scene::new().await;
    scene.release("9.9.9", &sha256(OTHER.as_bytes()), OTHER.len());
    scene.serve(OTHER);
    let before = permissions(&scene.path());
    let ran = scene.run(&["upgrade"]).await;
    ran.expect(
        0,
        &format!("sam 9.9.9 is installed: {}\n", scene.path().display()),
    );
    assert_eq!(ran.stderr, "Downloading…\n");
    assert_eq!(
        scene.asked(),
        ["GET /api/cli/version".to_owned(), download_path()]
    );
    assert_eq!(std::fs::read_to_string(scene.path()).unwrap(), OTHER);
    scene.assert_alone();
    assert_eq!(permissions(&scene.path()), before);
}

fn permissions(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode()
}

#[tokio::test]
async fn one_byte_that_is_another_is_refused() {
    let damaged = OTHER.replace("9.9.9", "9.9.8");
    let longer = format!("{OTHER}#");
    let shorter = OTHER.trim_end();
    for came in [damaged.as_str(), longer.as_str(), shorter] {
        let scene = Scene::new().await;
        scene.release("9.9.9", &sha256(OTHER.as_bytes()), OTHER.len());
        scene.serve(came);
        let ran = scene.run(&["upgrade"]).await;
        ran.expect_error(6, &format!("Downloading…\n{DAMAGED}"));
        scene.assert_untouched();
    }
}

#[tokio::test]
async fn a_program_that_does_not_run_here_is_refused() {
    let broken = "#!/bin/sh\nexit 1\n";
    let scene = Scene::new().await;
    scene.release("9.9.9", &sha256(broken.as_bytes()), broken.len());
    scene.serve(broken);
    scene.run(&["upgrade"]).await.expect_error(
        6,
        "Downloading…\n\
         error: The released program does not run here; nothing was changed.\n\
         hint: Tell whoever runs the server.\n",
    );
    scene.assert_untouched();
}

#[tokio::test]
async fn ctrl_c_leaves_nothing_beside_the_program() {
    let mut scene = Scene::new().await;
    // A server of its own, because this one begins an answer and never ends it.
    let slow = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", slow.local_addr().unwrap());
    let document = document("9.9.9", &sha256(OTHER.as_bytes()), OTHER.len());
    scene.program = scene.program.env("SAM_API_URL", &url);
    let child = scene.program.command(&["upgrade"]).spawn().unwrap();
    let head = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length:";
    let document = document.to_string();
    let whole = format!("{head} {}\r\n\r\n{document}", document.len());
    drop(answer(&slow, &whole).await);
    let begun = format!("{head} {}\r\n\r\n", OTHER.len());
    let _open = answer(&slow, &begun).await;
    let id = i32::try_from(child.id().unwrap()).unwrap();
    kill_process(Pid::from_raw(id).unwrap(), Signal::INT).unwrap();
    let ended = timeout(DEADLINE, child.wait_with_output()).await.unwrap();
    let output = ended.unwrap();
    assert_eq!(output.status.code(), Some(130), "{output:?}");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.ends_with("Nothing was changed.\n"), "{said}");
    scene.assert_untouched();
}

/// Takes a connection, reads a request without a body from it, and answers.
async fn answer(server: &TcpListener, text: &str) -> BufStream<TcpStream> {
    let taken = timeout(DEADLINE, server.accept()).await.unwrap();
    let mut stream = BufStream::new(taken.unwrap().0);
    let mut line = String::new();
    while line != "\r\n" {
        line.clear();
        let read = timeout(DEADLINE, stream.read_line(&mut line)).await;
        assert_ne!(read.unwrap().unwrap(), 0, "the program left");
    }
    stream.write_all(text.as_bytes()).await.unwrap();
    stream.flush().await.unwrap();
    stream
}

#[tokio::test]
async fn an_earlier_release_is_left_alone() {
    let scene = Scene::new().await;
    scene.release("0.0.9", &sha256(OTHER.as_bytes()), OTHER.len());
    scene
        .run(&["upgrade"])
        .await
        .expect(0, "This sam is 0.1.0; the server has released 0.0.9.\n");
    scene.assert_untouched();
}

#[tokio::test]
async fn what_is_not_released_is_said_so() {
    let scene = Scene::new().await;
    let body = json!({"error": {
        "code": "nothing_released", "message": "No sam is released here yet.",
        "hint": "Who runs the installation releases it with `scripts/release`.", "request_id": "req_1",
    }});
    scene.server.on("GET", "/api/cli/version", 404, &body);
    scene.run(&["upgrade"]).await.expect_error(
        4,
        "error: No sam is released here yet.\n\
         hint: Who runs the installation releases it with `scripts/release`.\n\
         request: req_1\n",
    );
    scene.assert_untouched();
}

#[tokio::test]
async fn another_server_is_asked_without_the_token() {
    let scene = Scene::new().await;
    let other = Server::start().await;
    let none = json!({"version": "1.0.0", "downloads": []});
    other.on("GET", "/api/cli/version", 200, &none);
    let ran = scene.run(&["upgrade", "--url", &other.url]).await;
    assert_eq!(ran.code, 4, "{ran:?}");
    assert_eq!(scene.asked(), Vec::<String>::new());
    let asked = other.requests();
    assert_eq!(asked.len(), 1);
    assert!(!format!("{asked:?}").contains(TOKEN));
}
