//! What the kernel keeps an agent's commands from.
//!
//! The strongest isolation of the machine is found once, at the start:
//! Landlock with seccomp, else bubblewrap, else none, and each says which
//! [`Guarantees`] it gives. A confined command writes only below the folders
//! it is given, reads only there and what is [`readable`] of the machine,
//! cannot look into or signal processes outside, and has no network unless it
//! is allowed.
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
mod readable;
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
    /// A further file or folder that commands may read, beside what they may write, the system and the tools that PATH leads to; / is everything. May be given more than once.
    #[arg(hide_short_help = true, long, value_name = "PATH")]
    pub(crate) allow_read: Vec<PathBuf>,
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
    /// Read files that are neither there nor the system's nor its tools'.
    pub(crate) reads: bool,
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
            reads,
            processes,
            signals,
            network,
        } = self.guarantees;
        let kept: Vec<&str> = [
            (writes, "writes elsewhere"),
            (reads, "people's files"),
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

/// What is open to a command beside the system.
#[derive(Debug, Clone, Default)]
struct Open {
    writable: Vec<PathBuf>,
    readable: Vec<PathBuf>,
}

/// The sandbox of every command of this process.
#[derive(Debug)]
pub(crate) struct Sandbox {
    level: Level,
    network: bool,
    /// For every session.
    open: Open,
    /// This program.
    executable: PathBuf,
}

impl Sandbox {
    /// Looks at the machine. Fails when what was asked for by name is not
    /// there.
    pub(crate) fn new(args: &SandboxArgs) -> Result<Self, String> {
        let mut level = probe::level(args.sandbox, args.network)?;
        let executable = std::env::current_exe()
            .map_err(|error| format!("this program cannot be found again: {error}"))?;
        let mut open = Open {
            writable: vec![std::env::temp_dir(), PathBuf::from("/tmp")],
            readable: Vec::new(),
        };
        for wanted in &args.allow_write {
            open.writable.push(real("--allow-write", wanted)?);
        }
        for wanted in &args.allow_read {
            open.readable.push(real("--allow-read", wanted)?);
        }
        let mut all = open.writable.iter().chain(&open.readable);
        level.guarantees.reads &= all.all(|path| path.parent().is_some());
        Ok(Self {
            level,
            network: args.network,
            open,
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
        let mut open = self.open.clone();
        for root in roots.iter().rev() {
            open.writable.insert(0, root.to_path_buf());
            open.writable.extend(git_folders(root));
            open.readable.extend(readable::repository(root));
        }
        if !may_write {
            open.readable.append(&mut open.writable);
        }
        if !may_write && !self.level.guarantees.writes {
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
                built.args(confine::arguments(&open, self.network, &self.level));
                built.args(program);
                built
            }
            Isolation::Bubblewrap => {
                let mut built = Command::new(probe::BUBBLEWRAP);
                built.args(bubblewrap_arguments(&open, self.network));
                built.arg("--").args(program);
                built
            }
        };
        built.current_dir(root);
        Ok(built)
    }
}

/// What a flag names, without links.
fn real(flag: &str, wanted: &Path) -> Result<PathBuf, String> {
    let path = expanded(wanted)?;
    path.canonicalize()
        .map_err(|error| format!("{flag} {}: {error}", wanted.display()))
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

fn bubblewrap_arguments(open: &Open, network: bool) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = [
        "--die-with-parent",
        "--unshare-pid",
        "--unshare-ipc",
        "--cap-drop",
        "ALL",
    ]
    .map(OsString::from)
    .into();
    if !network {
        arguments.push("--unshare-net".into());
    }
    let mut bind = |how: &str, path: &Path| {
        arguments.extend([how.into(), path.into(), path.into()]);
    };
    // What is written comes last, so that nothing read covers it.
    for path in readable::always().iter().chain(&open.readable) {
        bind("--ro-bind-try", path);
    }
    for path in &open.writable {
        bind("--bind-try", path);
    }
    // The folders on the way to these are made anew, and hold nothing else.
    let last = ["--dev", "/dev", "--proc", "/proc", "--remount-ro", "/"];
    arguments.extend(last.map(OsString::from));
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
