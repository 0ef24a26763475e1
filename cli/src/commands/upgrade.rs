//! `sam upgrade`: this program, as the server has released it.
//!
//! The download goes to a new file beside the program, is compared with the SHA-256 that the release
//! names, has to run, and only then takes the program's place, in one step. Whatever goes wrong before
//! that, Ctrl-C included, leaves the program as it is and nothing beside it. No token is sent: releases are public.

use crate::api::{Api, Call};
use crate::args::tools::Upgrade;
use crate::context::Context;
use crate::error::{Exit, Failure};
use crate::output::{self, Progress, text};
use sam_domain::access::route::RouteId;
use sam_domain::release::{Arch, Download, Os, Release};
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What is installed.
const INSTALLED: &str = env!("CARGO_PKG_VERSION");

/// How this program and the release stand to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
    /// This program is the release.
    Current,
    /// The release is another build of this version, or a later one.
    Available,
    /// The release is an earlier version; it is left alone.
    Newer,
    /// The release has taken the program's place.
    Upgraded,
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Report<'a> {
    state: State,
    installed: &'a str,
    released: &'a str,
    path: &'a Path,
}

pub(super) async fn run(context: &Context, asked: Upgrade) -> Result<Exit, Failure> {
    let api = Api::new(context.settings.url(asked.url.as_deref())?, None)?;
    let (os, arch) = here()?;
    let program = std::env::current_exe()
        .map_err(|error| Failure::local("Could not find out where sam is installed", &error))?;
    let release: Release = api.json(Call::new(RouteId::CliVersion, &[])).await?;
    let download = release
        .for_platform(os, arch)
        .ok_or_else(|| Failure::NotFound {
            message: format!(
                "{} has released no sam for {}/{}.",
                api.base(),
                os.word(),
                arch.word()
            ),
            hint: Some(format!("It is released for {}.", release.platforms())),
        })?;
    let mut state = compare(&release, download, &program)?;
    if state == State::Available && !asked.check {
        tokio::select! {
            // Listened for before there is anything to clear away.
            biased;
            _ = tokio::signal::ctrl_c() => {
                context.out.hint("Nothing was changed.");
                return Ok(Exit::Detached);
            }
            replaced = replace(&api, download, &program) => replaced?,
        }
        state = State::Upgraded;
    }
    let released = text::clean_line(&release.version);
    let released = released.as_str();
    if context.out.json {
        context.out.value(&Report {
            state,
            installed: INSTALLED,
            released,
            path: &program,
        })?;
        return Ok(Exit::Ok);
    }
    context.out.line(&match state {
        State::Current => format!("sam {INSTALLED} is what the server has released."),
        State::Available if released == INSTALLED => {
            format!("The server has released another build of sam {released}.")
        }
        State::Available => format!("sam {released} is released; this is {INSTALLED}."),
        State::Newer => format!("This sam is {INSTALLED}; the server has released {released}."),
        State::Upgraded => format!("sam {released} is installed: {}", program.display()),
    })?;
    if state == State::Available {
        context.out.hint("Install it with `sam upgrade`.");
    }
    Ok(Exit::Ok)
}

fn here() -> Result<(Os, Arch), Failure> {
    use std::env::consts::{ARCH, OS};
    Os::named(OS)
        .zip(Arch::named(ARCH))
        .ok_or_else(|| Failure::NotFound {
            message: format!("sam is not released for {OS} on {ARCH}."),
            hint: Some("Build it from source.".to_owned()),
        })
}

fn compare(release: &Release, download: &Download, program: &Path) -> Result<State, Failure> {
    let same = is_same(download, program).map_err(|error| {
        Failure::local(&format!("Could not read {}", program.display()), &error)
    })?;
    Ok(if same {
        State::Current
    } else if numbers(&release.version) < numbers(INSTALLED) {
        State::Newer
    } else {
        State::Available
    })
}

fn is_same(download: &Download, program: &Path) -> io::Result<bool> {
    let mut file = File::open(program)?;
    if file.metadata()?.len() != download.bytes {
        return Ok(false);
    }
    let mut hash = Sha256::new();
    io::copy(&mut file, &mut Hashing(&mut hash))?;
    Ok(hexadecimal(hash) == download.sha256)
}

/// The numbers of a version, to compare by.
fn numbers(version: &str) -> Vec<u64> {
    let core = version.split(['-', '+']).next().unwrap_or_default();
    core.split('.')
        .map_while(|part| part.parse().ok())
        .collect()
}

struct Hashing<'a>(&'a mut Sha256);

impl io::Write for Hashing<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn hexadecimal(hash: Sha256) -> String {
    let bytes = hash.finalize();
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Puts the released file into the program's place.
async fn replace(api: &Api, download: &Download, program: &Path) -> Result<(), Failure> {
    let new = NewFile::beside(program)?;
    fetch(api, download, &new).await?;
    new.make_like(program)?;
    new.try_out()?;
    new.take_the_place_of(program)
}

async fn fetch(api: &Api, download: &Download, new: &NewFile) -> Result<(), Failure> {
    let call = Call::new(RouteId::CliDownload, &[])
        .query("os", download.os.word())
        .query("arch", download.arch.word());
    let mut answer = api.download(call).await?;
    let progress: Progress = output::progress("Downloading");
    let mut file = new.create()?;
    let mut hash = Sha256::new();
    let mut got = 0;
    while let Some(chunk) = api.chunk(&mut answer).await? {
        let bytes = chunk.as_ref();
        got += bytes.len() as u64;
        // Whatever is longer than the release is not the release.
        if got > download.bytes {
            return Err(damaged());
        }
        hash.update(bytes);
        new.tried(file.write_all(bytes))?;
        progress.update(&format!("{} of {} KB", got / 1024, download.bytes / 1024));
    }
    new.tried(file.sync_all())?;
    if hexadecimal(hash) != download.sha256 {
        return Err(damaged());
    }
    Ok(())
}

fn damaged() -> Failure {
    Failure::Unreachable {
        message: "The download does not have the checksum of the release; nothing was changed."
            .to_owned(),
        hint: Some("Run this again. If it happens again, tell whoever runs the server.".to_owned()),
    }
}

/// The download while it is none yet: gone with this, unless it took its place.
struct NewFile(PathBuf);

impl NewFile {
    fn beside(program: &Path) -> Result<Self, Failure> {
        let mut name = program.file_name().unwrap_or_default().to_owned();
        name.push(format!(".new-{}", std::process::id()));
        let new = Self(program.with_file_name(name));
        // Whether one may write there shows before anything is downloaded.
        new.create()?;
        Ok(new)
    }

    fn create(&self) -> Result<File, Failure> {
        self.tried(File::create(&self.0))
    }

    fn tried<T>(&self, result: io::Result<T>) -> Result<T, Failure> {
        result.map_err(|error| {
            Failure::local(&format!("Could not write {}", self.0.display()), &error)
        })
    }

    fn make_like(&self, program: &Path) -> Result<(), Failure> {
        let permissions = fs::metadata(program).map(|metadata| metadata.permissions());
        self.tried(permissions.and_then(|like| fs::set_permissions(&self.0, like)))
    }

    /// A program that does not start here must not take the place of one that does.
    fn try_out(&self) -> Result<(), Failure> {
        let tried = Command::new(&self.0)
            .arg("--version")
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        match tried {
            Ok(status) if status.success() => Ok(()),
            _ => Err(Failure::Unreachable {
                message: "The released program does not run here; nothing was changed.".to_owned(),
                hint: Some("Tell whoever runs the server.".to_owned()),
            }),
        }
    }

    fn take_the_place_of(&self, program: &Path) -> Result<(), Failure> {
        fs::rename(&self.0, program).map_err(|error| {
            Failure::local(&format!("Could not replace {}", program.display()), &error)
        })
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        // It is not there any more when it took its place.
        let _ = fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_their_numbers() {
        for (earlier, later) in [("0.1.0", "0.2.0"), ("0.9.9", "0.10.0"), ("1.0", "1.0.1")] {
            assert!(numbers(earlier) < numbers(later), "{earlier} {later}");
        }
        assert_eq!(numbers("0.2.0-rc.1"), numbers("0.2.0"));
    }
}
