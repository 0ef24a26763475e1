//! `sam-harness confine`: confines itself and becomes a command.
//!
//! What was claimed when the arguments were made is required here: a kernel
//! that refuses any part of it ends this with an error instead.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Args;
use landlock::{
    ABI, Access, AccessFs, BitFlags, CompatLevel, Compatible, Ruleset, RulesetAttr,
    RulesetCreatedAttr, RulesetStatus, Scope, path_beneath_rules,
};

use rustix::io::Errno;
use rustix::thread::{CapabilitySet, CapabilitySets};

use super::{Level, Open, probe, readable, seccomp};

/// Devices that programs write to without changing anything.
const DEVICES: [&str; 9] = [
    "/dev/null",
    "/dev/zero",
    "/dev/full",
    "/dev/random",
    "/dev/urandom",
    "/dev/tty",
    "/dev/ptmx",
    "/dev/pts",
    "/dev/shm",
];
const FILES: ABI = ABI::V3;

/// What a command is confined to.
#[derive(Debug, Args)]
pub(crate) struct ConfineArgs {
    /// A folder that may be written to.
    #[arg(long, value_name = "DIR")]
    write: Vec<PathBuf>,
    /// What may be read beside that, the system and its tools.
    #[arg(long, value_name = "PATH")]
    read: Vec<PathBuf>,
    /// Keep signals inside.
    #[arg(long)]
    signals: bool,
    /// Close the system calls that change the machine.
    #[arg(long)]
    seccomp: bool,
    /// Close the network and what leads around it, too.
    #[arg(long)]
    no_network: bool,
    /// The command.
    #[arg(last = true, required = true)]
    command: Vec<OsString>,
}

/// The arguments before the command.
pub(super) fn arguments(open: &Open, network: bool, level: &Level) -> Vec<OsString> {
    let mut arguments = vec![OsString::from("confine")];
    for path in &open.writable {
        arguments.extend(["--write".into(), path.into()]);
    }
    for path in &open.readable {
        arguments.extend(["--read".into(), path.into()]);
    }
    if level.guarantees.signals {
        arguments.push("--signals".into());
    }
    if probe::has_seccomp() {
        arguments.push("--seccomp".into());
    }
    if level.guarantees.network && !network {
        arguments.push("--no-network".into());
    }
    arguments.push("--".into());
    arguments
}

/// Becomes the command; returns only with what went wrong.
pub(crate) fn confine(args: &ConfineArgs) -> String {
    if let Err(error) = drop_capabilities() {
        return format!("the sandbox cannot be made: capabilities: {error}");
    }
    if let Err(error) = restrict_files(args) {
        return format!("the sandbox cannot be made: {error}");
    }
    if (args.seccomp || args.no_network)
        && let Err(error) = seccomp::restrict(args.no_network)
    {
        return format!("the sandbox cannot be made: {error}");
    }
    let Some((program, arguments)) = args.command.split_first() else {
        return "no command".to_owned();
    };
    let error = Command::new(program).args(arguments).exec();
    format!(
        "{} cannot be started: {error}",
        Path::new(program).display()
    )
}

/// What a superuser's work on files needs; the rest reaches past Landlock (a
/// superuser may read any environment) or changes the machine.
const KEPT: [CapabilitySet; 7] = [
    CapabilitySet::CHOWN,
    CapabilitySet::DAC_OVERRIDE,
    CapabilitySet::FOWNER,
    CapabilitySet::FSETID,
    CapabilitySet::KILL,
    CapabilitySet::SETGID,
    CapabilitySet::SETUID,
];

/// Nothing for anyone but a superuser.
fn drop_capabilities() -> rustix::io::Result<()> {
    let kept = CapabilitySet::from_iter(KEPT);
    let held = rustix::thread::capabilities(None)?;
    if held.permitted.contains(CapabilitySet::SETPCAP) {
        for capability in CapabilitySet::all() & !kept {
            match rustix::thread::remove_capability_from_bounding_set(capability) {
                // One that this kernel does not know.
                Ok(()) | Err(Errno::INVAL) => {}
                Err(error) => return Err(error),
            }
        }
    }
    let sets = CapabilitySets {
        effective: held.effective & kept,
        permitted: held.permitted & kept,
        inheritable: CapabilitySet::empty(),
    };
    rustix::thread::set_capabilities(None, sets)
}

fn restrict_files(args: &ConfineArgs) -> Result<(), String> {
    let failed = |error: landlock::RulesetError| error.to_string();
    let all: BitFlags<AccessFs> = AccessFs::from_all(FILES);
    let read: BitFlags<AccessFs> = AccessFs::from_read(FILES);
    // A device node made in a folder of one's own would be the disk itself.
    let folders = all & !(AccessFs::MakeChar | AccessFs::MakeBlock);
    let mut ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(all)
        .map_err(failed)?;
    if args.signals {
        ruleset = ruleset.scope(Scope::from_all(ABI::V6)).map_err(failed)?;
    }
    let status = ruleset
        .create()
        .and_then(|created| created.add_rules(path_beneath_rules(&args.write, folders)))
        .and_then(|created| created.add_rules(path_beneath_rules(DEVICES, all)))
        .and_then(|created| created.add_rules(path_beneath_rules(&args.read, read)))
        .and_then(|created| created.add_rules(path_beneath_rules(readable::always(), read)))
        .and_then(landlock::RulesetCreated::restrict_self)
        .map_err(failed)?;
    if status.ruleset == RulesetStatus::FullyEnforced && status.no_new_privs {
        Ok(())
    } else {
        Err(format!("only in part: {:?}", status.ruleset))
    }
}
