//! System calls that a confined command does not get.
//!
//! Without a network there are no sockets at all but pairs of connected ones:
//! a socket in a file may belong to a daemon that does things for whoever
//! asks (containers, user services, keys). io_uring would make sockets past
//! this filter, so it goes with them. What can change the machine itself is
//! closed in any case.

use std::collections::BTreeMap;

use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, apply_filter};

/// x86-64 knows a second set of numbers for the same calls.
#[cfg(target_arch = "x86_64")]
const X32: Option<i64> = Some(0x4000_0000);
#[cfg(not(target_arch = "x86_64"))]
const X32: Option<i64> = None;

/// Closed in any case.
const MACHINE: [i64; 14] = [
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_kexec_load,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_setns,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_settimeofday,
];

/// Closed without a network.
const NETWORK: [i64; 2] = [libc::SYS_socket, libc::SYS_io_uring_setup];

/// Confines this thread and what it becomes.
pub(super) fn restrict(no_network: bool) -> Result<(), String> {
    let network: &[i64] = if no_network { &NETWORK } else { &[] };
    let rules: BTreeMap<i64, Vec<_>> = MACHINE
        .iter()
        .chain(network)
        .flat_map(|call| [Some(*call), X32.map(|bit| call | bit)])
        .flatten()
        .map(|call| (call, Vec::new()))
        .collect();
    let words = |error: &dyn std::fmt::Display| format!("seccomp: {error}");
    let denied = u32::try_from(libc::EACCES).map_err(|error| words(&error))?;
    let architecture = std::env::consts::ARCH
        .try_into()
        .map_err(|error: seccompiler::BackendError| words(&error))?;
    let filter = SeccompFilter::new(
        rules,
        SeccompAction::Allow,
        SeccompAction::Errno(denied),
        architecture,
    )
    .map_err(|error| words(&error))?;
    let program: BpfProgram = filter
        .try_into()
        .map_err(|error: seccompiler::BackendError| words(&error))?;
    apply_filter(&program).map_err(|error| words(&error))
}
