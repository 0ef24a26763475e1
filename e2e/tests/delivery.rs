//! From a build to a program on somebody's machine: released, downloaded, installed, upgraded; and what
//! was damaged on the way is refused.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use sam_domain::release::Release;
use sam_e2e::{Result, Stack, ensure, failure, programs, within};
use sha2::{Digest, Sha256};
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

/// How long one program may take.
const PATIENCE: Duration = Duration::from_secs(120);
const DOWNLOAD: &str = "/api/cli/download?os=linux&arch=amd64";

/// What a program said and ended with.
struct Ran {
    code: Option<i32>,
    out: String,
    err: String,
}

async fn run(command: &mut Command, stdin: &[u8]) -> Result<Ran> {
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let mut child = command.spawn()?;
    if let Some(mut pipe) = child.stdin.take() {
        // Who reads nothing closes it.
        let _ = pipe.write_all(stdin).await;
    }
    let output = within("a program", PATIENCE, child.wait_with_output()).await??;
    Ok(Ran {
        code: output.status.code(),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}

fn sha256(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Releases these bytes as the command line, into the running server's storage.
async fn release(stack: &Stack, version: &str, bytes: &[u8]) -> Result {
    let folder = stack.directory().join("release");
    std::fs::create_dir_all(folder.join("linux-amd64"))?;
    std::fs::write(folder.join("linux-amd64/sam"), bytes)?;
    for words in [vec!["index", "--version", version], vec!["upload"]] {
        let mut command = Command::new(programs::node());
        command
            .arg(programs::root().join("scripts/release.mjs"))
            .args(&words)
            .arg("--out")
            .arg(&folder);
        if words == ["upload"] {
            command.arg("--state-dir").arg(stack.state_directory());
        }
        let ran = run(&mut command, b"").await?;
        ensure(ran.code == Some(0), || format!("{words:?}: {}", ran.err))?;
    }
    Ok(())
}

/// Changes one byte of the stored file that has this hash, on the disk.
fn damage(stack: &Stack, hash: &str) -> Result {
    let blobs = stack.state_directory().join("v3/r2/sam-bodies/blobs");
    for entry in std::fs::read_dir(&blobs)? {
        let path = entry?.path();
        let mut bytes = std::fs::read(&path)?;
        if sha256(&bytes) == hash {
            let middle = bytes.len() / 2;
            if let Some(byte) = bytes.get_mut(middle) {
                *byte ^= 1;
            }
            std::fs::write(&path, bytes)?;
            return Ok(());
        }
    }
    Err(failure(format!("{hash} is not in {}", blobs.display())))
}

/// A person's machine: a home, and `~/.local/bin` on the PATH.
struct Machine {
    home: PathBuf,
    url: String,
}

impl Machine {
    fn new(stack: &Stack) -> Result<Self> {
        let home = stack.directory().join("home");
        std::fs::create_dir_all(&home)?;
        let url = stack.url().to_owned();
        Ok(Self { home, url })
    }

    fn bin(&self) -> PathBuf {
        self.home.join(".local/bin")
    }

    fn sam(&self) -> PathBuf {
        self.bin().join("sam")
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", &self.home)
            .current_dir(&self.home);
        command
    }

    /// `curl … | sh`
    async fn install(&self, script: &[u8]) -> Result<Ran> {
        run(&mut self.command(Path::new("sh")), script).await
    }

    async fn upgrade(&self, more: &[&str]) -> Result<Ran> {
        let mut command = self.command(&self.sam());
        command.arg("upgrade").args(["--url", &self.url]).args(more);
        run(&mut command, b"").await
    }

    /// The hash of what is installed, which is all there is.
    fn installed(&self) -> Result<String> {
        let found: Vec<PathBuf> = std::fs::read_dir(self.bin())?
            .map(|entry| Ok(entry?.path()))
            .collect::<Result<_>>()?;
        ensure(found == [self.sam()], || format!("left behind: {found:?}"))?;
        Ok(sha256(&std::fs::read(self.sam())?))
    }

    /// That what came was taken for damaged, and that what was installed is still all there is.
    fn refuses_damage(&self, ran: Ran, code: i32, installed: &[u8]) -> Result {
        let told = ran
            .err
            .contains("does not have the checksum of the release");
        ensure(ran.code == Some(code) && told, || ran.err)?;
        ensure(self.installed()? == sha256(installed), || {
            "another program is installed".to_owned()
        })
    }
}

#[tokio::test]
async fn a_program_is_released_installed_and_upgraded_and_a_damaged_one_is_refused() -> Result {
    let stack = Stack::start().await?;
    let anyone = stack.anyone()?;
    let machine = Machine::new(&stack)?;
    let script = anyone.get("/api/cli/install").await?;
    ensure(script.status == 200, || script.text())?;
    let script = script.body;

    // Nothing is released.
    for (path, status, code) in [
        ("/api/cli/version", 404, "nothing_released"),
        (DOWNLOAD, 404, "nothing_released"),
        ("/api/agent/version", 404, "nothing_released"),
        (
            "/api/cli/download?os=plan9&arch=amd64",
            400,
            "unknown_platform",
        ),
        ("/api/cli/download", 400, "unknown_platform"),
    ] {
        let reply = anyone.get(path).await?;
        assert_eq!(
            (reply.status, reply.code().as_str()),
            (status, code),
            "{path}"
        );
    }
    let ran = machine.install(&script).await?;
    assert_eq!(ran.code, Some(1), "{}", ran.err);
    assert!(
        ran.err.contains("/api/cli/version could not be fetched"),
        "{}",
        ran.err
    );

    // Released while the server runs.
    let first = std::fs::read(programs::native("sam")?)?;
    release(&stack, "0.1.0", &first).await?;
    let released: Release = anyone.get("/api/cli/version").await?.json()?;
    assert_eq!(released.version, "0.1.0");
    assert_eq!(released.platforms(), "linux/amd64");
    let file = anyone.get(DOWNLOAD).await?;
    assert_eq!(sha256(&file.body), sha256(&first));
    for (name, value) in [
        ("x-checksum-sha256", sha256(&first)),
        ("etag", format!("\"{}\"", sha256(&first))),
        ("content-length", first.len().to_string()),
        ("content-type", "application/octet-stream".to_owned()),
        ("cache-control", "public, no-cache".to_owned()),
        (
            "content-disposition",
            "attachment; filename=\"sam\"".to_owned(),
        ),
    ] {
        assert_eq!(file.header(name), Some(value.as_str()), "{name}");
    }
    let held = anyone.with_header("if-none-match", &format!("\"{}\"", sha256(&first)));
    assert_eq!(held.get(DOWNLOAD).await?.status, 304);
    let elsewhere = anyone.get("/api/cli/download?os=darwin&arch=arm64").await?;
    assert_eq!(
        (elsewhere.status, elsewhere.code().as_str()),
        (404, "not_for_platform")
    );
    assert!(
        elsewhere.text().contains("linux/amd64"),
        "{}",
        elsewhere.text()
    );

    // Installed, and what is released.
    let ran = machine.install(&script).await?;
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert!(
        ran.out
            .contains(&format!("sam auth login --url {}", stack.url())),
        "{}",
        ran.out
    );
    assert_eq!(machine.installed()?, sha256(&first));
    let ran = machine.upgrade(&["--check"]).await?;
    assert_eq!(
        (ran.code, ran.out.as_str()),
        (Some(0), "sam 0.1.0 is what the server has released.\n")
    );

    // What follows an executable changes its bytes and not what it does.
    let mut second = first.clone();
    second.extend_from_slice(b"the second");
    release(&stack, "9.9.9", &second).await?;
    let ran = machine.upgrade(&["--check"]).await?;
    assert_eq!(
        (ran.code, ran.out.as_str()),
        (Some(0), "sam 9.9.9 is released; this is 0.1.0.\n")
    );
    assert_eq!(machine.installed()?, sha256(&first));

    // One byte is another one: nobody takes it, and what was there stays.
    damage(&stack, &sha256(&second))?;
    machine.refuses_damage(machine.upgrade(&[]).await?, 6, &first)?;
    machine.refuses_damage(machine.install(&script).await?, 1, &first)?;

    // Released again, it is taken.
    release(&stack, "9.9.9", &second).await?;
    let ran = machine.upgrade(&[]).await?;
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert_eq!(machine.installed()?, sha256(&second));
    let ran = machine.upgrade(&["--check"]).await?;
    assert!(
        ran.out.contains("is what the server has released"),
        "{}",
        ran.out
    );
    Ok(())
}
