//! What the kernel keeps an agent's commands from.
//!
//! The strongest isolation of the machine is found once, at the start:
//! Landlock with seccomp, else bubblewrap, else none, and each says which
//! [`Guarantees`] it gives. A confined command writes only below the folders
//! it is given, cannot look into or signal processes outside, and has no
//! network unless it is allowed. Reading files is not confined: compilers and
//! package managers read everywhere.
//!
//! A command is confined by starting this program anew as
//! `sam-harness confine … -- command`, which confines itself and becomes the
//! command. When the kernel then refuses a part of it, the command does not
//! run: never less is enforced than was claimed.
//!
//! The file tools need no sandbox (they open below a directory handle), and
//! the agent itself is not in it: it has to reach the model.

mod confine;
mod probe;
mod seccomp;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use serde::Serialize;
use tokio::process::Command;

pub(crate) use confine::{ConfineArgs, confine};

/// How commands are isolated.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum SandboxChoice {
    /// The strongest this machine gives.
    #[default]
    Auto,
    /// Landlock with seccomp, or refuse to start.
    Landlock,
    /// bubblewrap, or refuse to start.
    Bubblewrap,
    /// None.
    Off,
}

/// Flags of the sandbox.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Sandbox")]
pub(crate) struct SandboxArgs {
    /// What isolates commands from the machine; `--version --verbose` tells what is found here.
    #[arg(
        hide_short_help = true,
        long,
        value_enum,
        env = "SAM_SANDBOX",
        default_value_t,
        value_name = "KIND"
    )]
    pub(crate) sandbox: SandboxChoice,
    /// Let commands reach the network; without it a sandbox gives them none, not even loopback.
    #[arg(long)]
    pub(crate) network: bool,
    /// A further folder that commands may write to, beside the workspace, its git folder and the temporary folders; ~ is the home folder. May be given more than once.
    #[arg(hide_short_help = true, long, value_name = "DIR")]
    pub(crate) allow_write: Vec<PathBuf>,
}

/// What isolates commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Isolation {
    /// Landlock, with seccomp where the kernel has it.
    Landlock,
    /// Namespaces made by bubblewrap.
    Bubblewrap,
    /// Nothing.
    None,
}

/// What a command cannot do, each by itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Guarantees {
    /// Write outside the folders it was given.
    pub(crate) writes: bool,
    /// Read the memory or environment of processes outside.
    pub(crate) processes: bool,
    /// Signal processes outside.
    pub(crate) signals: bool,
    /// Reach the network.
    pub(crate) network: bool,
}

/// The isolation in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Level {
    /// By what.
    pub(crate) isolation: Isolation,
    /// What it keeps commands from.
    pub(crate) guarantees: Guarantees,
    /// Why it is not more, where something is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) missing: Option<String>,
}

impl std::fmt::Display for Level {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = match self.isolation {
            Isolation::Landlock => "landlock",
            Isolation::Bubblewrap => "bubblewrap",
            Isolation::None => "none",
        };
        let Guarantees {
            writes,
            processes,
            signals,
            network,
        } = self.guarantees;
        let kept: Vec<&str> = [
            (writes, "writes elsewhere"),
            (processes, "other processes"),
            (signals, "signals to them"),
            (network, "the network"),
        ]
        .into_iter()
        .filter_map(|(kept, what)| kept.then_some(what))
        .collect();
        write!(f, "{name}")?;
        if !kept.is_empty() {
            write!(f, " (keeps commands from {})", kept.join(", "))?;
        }
        match &self.missing {
            Some(missing) => write!(f, "; {missing}"),
            None => Ok(()),
        }
    }
}

/// The sandbox of every command of this process.
#[derive(Debug)]
pub(crate) struct Sandbox {
    level: Level,
    network: bool,
    /// Folders for every session.
    writable: Vec<PathBuf>,
    /// This program.
    executable: PathBuf,
}

impl Sandbox {
    /// Looks at the machine. Fails when what was asked for by name is not
    /// there.
    pub(crate) fn new(args: &SandboxArgs) -> Result<Self, String> {
        let level = probe::level(args.sandbox, args.network)?;
        let executable = std::env::current_exe()
            .map_err(|error| format!("this program cannot be found again: {error}"))?;
        let mut writable = vec![std::env::temp_dir(), PathBuf::from("/tmp")];
        for wanted in &args.allow_write {
            let path = expanded(wanted)?;
            let path = path
                .canonicalize()
                .map_err(|error| format!("--allow-write {}: {error}", wanted.display()))?;
            writable.push(path);
        }
        Ok(Self {
            level,
            network: args.network,
            writable,
            executable,
        })
    }

    /// What is in force.
    pub(crate) fn level(&self) -> &Level {
        &self.level
    }

    /// A program with its arguments in the first of the directories `roots`,
    /// confined to writing in them. One that may only read writes nowhere;
    /// without isolation there is none such.
    pub(crate) fn command<'a>(
        &self,
        roots: impl Iterator<Item = &'a Path>,
        program: &[&str],
        may_write: bool,
    ) -> Result<Command, String> {
        let roots: Vec<&Path> = roots.collect();
        let root = roots.first().ok_or("there is no directory")?;
        let mut writable = Vec::new();
        if may_write {
            writable.extend(roots.iter().map(|&root| root.to_owned()));
            writable.extend(roots.iter().flat_map(|root| git_folders(root)));
            writable.extend(self.writable.iter().cloned());
        } else if !self.level.guarantees.writes {
            return Err(
                "in read-only mode commands run only in a sandbox, and this machine has none"
                    .to_owned(),
            );
        }
        let (name, arguments) = program.split_first().ok_or("there is no program")?;
        let mut built = match self.level.isolation {
            Isolation::None => {
                let mut built = Command::new(name);
                built.args(arguments);
                built
            }
            Isolation::Landlock => {
                let mut built = Command::new(&self.executable);
                built.args(confine::arguments(&writable, self.network, &self.level));
                built.args(program);
                built
            }
            Isolation::Bubblewrap => {
                let mut built = Command::new(probe::BUBBLEWRAP);
                built.args(bubblewrap_arguments(&writable, self.network));
                built.arg("--").args(program);
                built
            }
        };
        built.current_dir(root);
        Ok(built)
    }
}

/// `~` and `~/…` by the home folder.
fn expanded(path: &Path) -> Result<PathBuf, String> {
    let Ok(rest) = path.strip_prefix("~") else {
        return Ok(path.to_owned());
    };
    let home = std::env::var_os("HOME").filter(|home| !home.is_empty());
    home.map(|home| Path::new(&home).join(rest))
        .ok_or_else(|| "~ means nothing without HOME".to_owned())
}

fn bubblewrap_arguments(writable: &[PathBuf], network: bool) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = [
        "--die-with-parent",
        "--unshare-pid",
        "--unshare-ipc",
        "--cap-drop",
        "ALL",
        "--ro-bind",
        "/",
        "/",
        "--dev",
        "/dev",
        "--proc",
        "/proc",
    ]
    .map(OsString::from)
    .into();
    if !network {
        arguments.push("--unshare-net".into());
    }
    for path in writable {
        arguments.extend(["--bind-try".into(), path.into(), path.into()]);
    }
    arguments
}

/// Where git keeps a linked work tree's data. The folder is believed only when
/// it names this work tree in return: a `.git` file is the project's own, and
/// could name any folder.
fn git_folders(root: &Path) -> Vec<PathBuf> {
    let link = root.join(".git");
    let folder = || {
        let text = std::fs::read_to_string(&link).ok()?;
        let folder = root.join(text.strip_prefix("gitdir:")?.trim());
        let folder = folder.canonicalize().ok()?;
        let back = std::fs::read_to_string(folder.join("gitdir")).ok()?;
        let back = Path::new(back.trim()).canonicalize().ok()?;
        (back == link.canonicalize().ok()?).then_some(folder)
    };
    let Some(folder) = folder() else {
        return Vec::new();
    };
    let common = std::fs::read_to_string(folder.join("commondir"))
        .ok()
        .and_then(|common| folder.join(common.trim()).canonicalize().ok())
        .filter(|common| folder.parent() == Some(&common.join("worktrees")));
    common.into_iter().chain([folder]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_work_trees_git_folder_is_believed_only_when_it_names_the_tree() {
        let outer = tempfile::tempdir().unwrap();
        let outer = outer.path().canonicalize().unwrap();
        let data = outer.join("main/.git/worktrees/w");
        let tree = outer.join("w");
        std::fs::create_dir_all(&data).unwrap();
        std::fs::create_dir(&tree).unwrap();
        std::fs::write(tree.join(".git"), format!("gitdir: {}\n", data.display())).unwrap();
        std::fs::write(data.join("commondir"), "../..\n").unwrap();
        assert_eq!(git_folders(&tree), Vec::<PathBuf>::new(), "nothing back");
        std::fs::write(data.join("gitdir"), tree.join(".git").to_str().unwrap()).unwrap();
        assert_eq!(git_folders(&tree), [outer.join("main/.git"), data.clone()]);
        std::fs::write(data.join("commondir"), "/\n").unwrap();
        assert_eq!(git_folders(&tree), [data], "no way to reach further");
    }

    #[test]
    fn a_level_says_what_it_keeps_commands_from() {
        let level = Level {
            isolation: Isolation::Landlock,
            guarantees: Guarantees {
                writes: true,
                network: true,
                ..Guarantees::default()
            },
            missing: Some("the kernel cannot confine signals".to_owned()),
        };
        assert_eq!(
            level.to_string(),
            "landlock (keeps commands from writes elsewhere, the network); the kernel cannot confine signals"
        );
    }
}
