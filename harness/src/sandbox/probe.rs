//! What this machine has, tried rather than guessed.

use std::process::{Command, Stdio};

use landlock::{ABI, Access, AccessFs, CompatLevel, Compatible, Ruleset, RulesetAttr, Scope};

use super::{Guarantees, Isolation, Level, SandboxChoice};

/// The program of bubblewrap.
pub(super) const BUBBLEWRAP: &str = "bwrap";

/// The level of the isolation asked for; an error when one asked for by name
/// is not there.
pub(super) fn level(choice: SandboxChoice, network: bool) -> Result<Level, String> {
    let landlock = || landlock_level(network);
    let bubblewrap = || bubblewrap_level(network);
    match choice {
        SandboxChoice::Off => Ok(none("it was switched off")),
        SandboxChoice::Landlock => {
            landlock().ok_or_else(|| "this kernel has no usable Landlock".to_owned())
        }
        SandboxChoice::Bubblewrap => {
            bubblewrap().ok_or_else(|| "bubblewrap (bwrap) does not run here".to_owned())
        }
        SandboxChoice::Auto => {
            let first = landlock();
            if let Some(level) = first.as_ref().filter(|level| level.missing.is_none()) {
                return Ok(level.clone());
            }
            let found = bubblewrap().or(first);
            let why = "the kernel has no usable Landlock and bubblewrap does not run here";
            Ok(found.unwrap_or_else(|| none(why)))
        }
    }
}

fn none(why: &str) -> Level {
    Level {
        isolation: Isolation::None,
        guarantees: Guarantees::default(),
        missing: Some(format!("commands have the user's rights: {why}")),
    }
}

/// Since 6.2 the kernel also confines truncation; before, a file elsewhere
/// could be emptied, which is no confinement.
fn landlock_level(network: bool) -> Option<Level> {
    let files = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::from_all(ABI::V3))
        .and_then(Ruleset::create);
    files.ok()?;
    let signals = can_scope_signals();
    let filter = has_seccomp();
    let missing: Vec<&str> = [
        (!signals, "the kernel cannot confine signals"),
        (
            !filter && !network,
            "the kernel has no seccomp to close the network",
        ),
    ]
    .into_iter()
    .filter_map(|(missing, what)| missing.then_some(what))
    .collect();
    Some(Level {
        isolation: Isolation::Landlock,
        guarantees: Guarantees {
            writes: true,
            reads: true,
            processes: true,
            signals,
            network: filter && !network,
        },
        missing: (!missing.is_empty()).then(|| missing.join("; ")),
    })
}

/// Whether Landlock keeps signals inside (since 6.12).
fn can_scope_signals() -> bool {
    Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .scope(Scope::from_all(ABI::V6))
        .and_then(Ruleset::create)
        .is_ok()
}

/// Whether system calls can be filtered.
pub(super) fn has_seccomp() -> bool {
    let supported = cfg!(any(
        target_arch = "x86_64",
        target_arch = "aarch64",
        target_arch = "riscv64"
    ));
    supported && std::path::Path::new("/proc/sys/kernel/seccomp/actions_avail").exists()
}

fn bubblewrap_level(network: bool) -> Option<Level> {
    let mut command = Command::new(BUBBLEWRAP);
    command
        .args(super::bubblewrap_arguments(
            &super::Open::default(),
            network,
        ))
        .args(["--", "true"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.status().ok()?.success().then_some(Level {
        isolation: Isolation::Bubblewrap,
        guarantees: Guarantees {
            writes: true,
            reads: true,
            processes: true,
            signals: true,
            network: !network,
        },
        missing: None,
    })
}
