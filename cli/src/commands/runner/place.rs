//! Where a runner's things lie, and what its service is called.

use crate::args::runner::Place;
use crate::config::DEFAULT_PROFILE;
use crate::error::Failure;
use std::path::{Path, PathBuf};

/// Whose service it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// The signed-in person's own.
    User,
    /// The machine's.
    System,
}

/// One runner of this machine.
#[derive(Debug)]
pub(super) struct Here {
    /// Whose service.
    pub(super) scope: Scope,
    /// The service's name without its ending; also the system's state directory's.
    pub(super) name: String,
    /// Everything that is kept.
    pub(super) state: PathBuf,
    /// The folder of its unit.
    units: PathBuf,
    /// Whether somebody chose the state directory.
    chosen: bool,
}

impl Here {
    /// The runner of `profile`.
    pub(super) fn of(place: &Place, profile: &str) -> Result<Self, Failure> {
        let suffix = match profile {
            DEFAULT_PROFILE => String::new(),
            other => format!("-{other}"),
        };
        let name = format!("sam-runner{suffix}");
        if place.system {
            return Ok(Self {
                scope: Scope::System,
                state: Path::new("/var/lib").join(&name),
                units: PathBuf::from("/etc/systemd/system"),
                name,
                chosen: false,
            });
        }
        let state = match &place.state_dir {
            Some(chosen) => std::path::absolute(chosen)
                .map_err(|error| Failure::local("The state directory is wrong", &error))?,
            None => home("XDG_STATE_HOME", ".local/state")?
                .join("sam")
                .join(format!("runner{suffix}")),
        };
        Ok(Self {
            scope: Scope::User,
            name,
            state,
            units: home("XDG_CONFIG_HOME", ".config")?.join("systemd/user"),
            chosen: place.state_dir.is_some(),
        })
    }

    /// The vm-agent's folder.
    pub(super) fn agent_state(&self) -> PathBuf {
        self.state.join("agent")
    }

    /// The service's name.
    pub(super) fn service(&self) -> String {
        format!("{}.service", self.name)
    }

    /// The service's unit.
    pub(super) fn unit(&self) -> PathBuf {
        self.units.join(self.service())
    }

    /// The words that lead back to this runner in another command.
    pub(super) fn words(&self) -> String {
        match (self.scope, self.chosen) {
            (Scope::System, _) => " --system".to_owned(),
            (Scope::User, true) => format!(" --state-dir {}", self.state.display()),
            (Scope::User, false) => String::new(),
        }
    }
}

/// A folder of the person's, as the XDG base directories have it.
fn home(variable: &str, usual: &str) -> Result<PathBuf, Failure> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    set(variable)
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
        .or_else(|| set("HOME").map(|home| PathBuf::from(home).join(usual)))
        .ok_or_else(|| {
            Failure::usage(
                format!("There is no place for it: neither {variable} nor HOME is set."),
                "Set one of them.",
            )
        })
}
