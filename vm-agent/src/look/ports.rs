//! Ports that a workspace's programs listen on, from the kernel's tables.
//!
//! A program is the workspace's when it, or what it descends from, carries the workspace's mark.

use crate::process::table;
use sam_domain::id::WorkspaceId;
use sam_domain::link::question::{OpenPort, PortList};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};

/// The state of a socket that listens, as the kernel writes it.
const LISTENS: &str = "0A";

/// The ports that are open now.
pub(super) fn open(store_id: &str, workspace: &WorkspaceId) -> PortList {
    let roots = table::marked(&format!("{store_id}.{workspace}."));
    let own: Vec<i32> = roots.iter().copied().collect();
    let mut programs = table::descendants(&own);
    programs.extend(roots);
    PortList {
        ports: of(&programs).into_iter().collect(),
    }
}

/// The ports that these processes listen on.
fn of(programs: &BTreeSet<i32>) -> BTreeSet<OpenPort> {
    let mut ports = BTreeSet::new();
    for pid in programs {
        let process = PathBuf::from(format!("/proc/{pid}"));
        let sockets = sockets(&process);
        if sockets.is_empty() {
            continue;
        }
        let program = std::fs::read_to_string(process.join("comm")).unwrap_or_default();
        for (inode, (address, port)) in listening(&process) {
            if sockets.contains(&inode) {
                ports.insert(OpenPort {
                    port,
                    address,
                    program: program.trim_end().to_owned(),
                });
            }
        }
    }
    ports
}

/// The inodes of a process's sockets.
fn sockets(process: &Path) -> BTreeSet<u64> {
    let descriptors = std::fs::read_dir(process.join("fd"));
    descriptors
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let target = std::fs::read_link(entry.path()).ok()?;
            let inode = target.to_str()?.strip_prefix("socket:[")?;
            inode.strip_suffix(']')?.parse().ok()
        })
        .collect()
}

/// Sockets that listen where the process sees the network, by inode.
fn listening(process: &Path) -> BTreeMap<u64, (String, u16)> {
    let mut found = BTreeMap::new();
    for table in ["net/tcp", "net/tcp6"] {
        let text = std::fs::read_to_string(process.join(table)).unwrap_or_default();
        found.extend(text.lines().filter_map(socket));
    }
    found
}

/// A line of the kernel's table: number, local address, remote address, state, …, inode.
fn socket(line: &str) -> Option<(u64, (String, u16))> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let (local, state, inode) = (fields.get(1)?, fields.get(3)?, fields.get(9)?);
    if *state != LISTENS {
        return None;
    }
    let (address, port) = local.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    Some((inode.parse().ok()?, (address_of(address)?, port)))
}

/// An address as the kernel writes it: words of 32 bits in the machine's own order of bytes.
fn address_of(hex: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(16);
    for at in (0..hex.len()).step_by(8) {
        let word = u32::from_str_radix(hex.get(at..at + 8)?, 16).ok()?;
        bytes.extend(word.to_ne_bytes());
    }
    match bytes.len() {
        4 => Some(Ipv4Addr::from(<[u8; 4]>::try_from(bytes).ok()?).to_string()),
        16 => Some(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?).to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn a_process_has_the_ports_it_listens_on_and_no_others() {
        let own = i32::try_from(std::process::id()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let here = of(&BTreeSet::from([own]));
        let found = here.iter().find(|open| open.port == port);
        assert_eq!(found.map(|open| open.address.as_str()), Some("127.0.0.1"));
        drop(listener);
        let here = of(&BTreeSet::from([own]));
        assert!(!here.iter().any(|open| open.port == port));
        assert!(of(&BTreeSet::from([i32::MAX])).is_empty());
    }

    #[test]
    fn a_line_of_the_kernels_table_is_read_or_left_out() {
        let line = "   1: 0100007F:0BB8 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4242 1 0 100 0 0 10 0";
        assert_eq!(socket(line), Some((4242, ("127.0.0.1".to_owned(), 3000))));
        let any = "0: 00000000000000000000000000000000:1F90 0:0 0A 0:0 0:0 0 1000 0 7 1";
        assert_eq!(socket(any), Some((7, ("::".to_owned(), 8080))));
        for odd in [
            "",
            "sl local_address rem_address st",
            "0: 0100007F:0BB8 0:0 01 0:0 0:0 0 0 0 1",
            "0: 0100:0BB8 0:0 0A 0:0 0:0 0 0 0 1",
            "0: 0100007F:zz 0:0 0A 0:0 0:0 0 0 0 1",
        ] {
            assert_eq!(socket(odd), None, "{odd}");
        }
    }
}
