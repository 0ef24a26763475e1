//! What commands may read, beside what they may write: the system, the tools
//! that `PATH` leads to, and what the session was given.
//!
//! A list of what is open, because the kernel knows no exception from an open
//! folder. So home folders, other projects, other programs' data, and what
//! `/etc` keeps secret stay closed; a tool that lies at an unusual place has to
//! be named with `--allow-read`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The system's own folders.
const SYSTEM: [&str; 26] = [
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/opt",
    "/nix",
    "/gnu",
    "/snap",
    "/proc",
    "/sys",
    "/run/current-system",
    "/run/systemd/resolve",
    "/run/resolvconf",
    "/run/NetworkManager/resolv.conf",
    "/var/cache/fontconfig",
    "/var/cache/man",
    "/var/lib/apt",
    "/var/lib/ca-certificates",
    "/var/lib/dpkg",
    "/var/lib/pacman",
    "/var/lib/rpm",
    "/var/lib/snapd",
    "/home/linuxbrew/.linuxbrew",
];

/// Of `/etc`, what holds keys and passwords.
const SECRET: [&str; 25] = [
    "NetworkManager",
    "credstore",
    "credstore.encrypted",
    "docker",
    "gshadow",
    "gshadow-",
    "ipsec.d",
    "ipsec.secrets",
    "krb5.keytab",
    "kubernetes",
    "letsencrypt",
    "mysql",
    "openvpn",
    "pki",
    "polkit-1",
    "ppp",
    "rancher",
    "security",
    "shadow",
    "shadow-",
    "ssh",
    "ssl",
    "sudoers",
    "sudoers.d",
    "wireguard",
];

/// Within these, what does not.
const PUBLIC: [&str; 10] = [
    "/etc/pki/ca-trust",
    "/etc/pki/tls/cert.pem",
    "/etc/pki/tls/certs",
    "/etc/pki/tls/openssl.cnf",
    "/etc/ssh/ssh_config",
    "/etc/ssh/ssh_config.d",
    "/etc/ssh/ssh_known_hosts",
    "/etc/ssl/cert.pem",
    "/etc/ssl/certs",
    "/etc/ssl/openssl.cnf",
];

/// Beside a folder of programs, what they are made of.
const BESIDE: [&str; 12] = [
    "conf",
    "include",
    "jmods",
    "lib",
    "lib64",
    "libexec",
    "pkg",
    "plugins",
    "pyvenv.cfg",
    "share",
    "src",
    "versions",
];

/// Variables that name a folder of tools, or git's configuration, without which git does nothing.
const VARIABLES: [&str; 18] = [
    "ASDF_DATA_DIR",
    "CARGO_TARGET_DIR",
    "CONDA_PREFIX",
    "DOTNET_ROOT",
    "GIT_CONFIG_GLOBAL",
    "GOCACHE",
    "GOMODCACHE",
    "GOROOT",
    "JAVA_HOME",
    "MISE_DATA_DIR",
    "NVM_DIR",
    "PLAYWRIGHT_BROWSERS_PATH",
    "PYENV_ROOT",
    "RBENV_ROOT",
    "RUSTUP_HOME",
    "SDKMAN_DIR",
    "VIRTUAL_ENV",
    "VOLTA_HOME",
];

/// Of a home folder, what tools keep there and what is no secret.
const HOME: [&str; 36] = [
    ".asdf",
    ".bun/bin",
    ".bun/install",
    ".cache/ccache",
    ".cache/go-build",
    ".cache/ms-playwright",
    ".cache/node",
    ".cache/pip",
    ".cache/pnpm",
    ".cache/sccache",
    ".cache/uv",
    ".cache/yarn",
    ".config/git/attributes",
    ".config/git/config",
    ".config/git/ignore",
    ".deno",
    ".dotnet",
    ".ghcup",
    ".gitconfig",
    ".gradle/caches",
    ".gradle/wrapper",
    ".juliaup",
    ".local/share/fnm",
    ".local/share/mise",
    ".local/share/pipx",
    ".local/share/pnpm",
    ".local/share/uv",
    ".m2/repository",
    ".npm/_cacache",
    ".nvm",
    ".opam",
    ".pyenv",
    ".rbenv",
    ".rustup",
    ".sdkman",
    ".volta",
];

/// Of cargo's folder, what is not its credentials.
const CARGO: [&str; 6] = ["bin", "config", "config.toml", "env", "git", "registry"];

/// What every command may read, as far as it is there.
pub(super) fn always() -> Vec<PathBuf> {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let mut paths: Vec<PathBuf> = SYSTEM.iter().chain(&PUBLIC).map(PathBuf::from).collect();
    paths.extend(etc());
    paths.extend(tools(&variable));
    paths.retain(|path| path.exists());
    paths.sort();
    paths.dedup();
    paths
}

/// `/etc` without its secrets.
fn etc() -> Vec<PathBuf> {
    let entries = std::fs::read_dir("/etc").into_iter().flatten().flatten();
    let open = entries.filter(|entry| !SECRET.iter().any(|name| entry.file_name() == *name));
    open.map(|entry| entry.path()).collect()
}

fn tools(variable: &dyn Fn(&str) -> Option<OsString>) -> Vec<PathBuf> {
    let home = variable("HOME").map(PathBuf::from);
    let home = home.as_deref().filter(|home| home.is_absolute());
    let mut paths = Vec::new();
    for folder in variable("PATH").iter().flat_map(std::env::split_paths) {
        paths.extend(around(folder, home));
    }
    paths.extend(
        VARIABLES
            .iter()
            .filter_map(|name| variable(name))
            .map(PathBuf::from),
    );
    let cargo = variable("CARGO_HOME").map(PathBuf::from);
    let cargo = cargo.or_else(|| home.map(|home| home.join(".cargo")));
    paths.extend(
        cargo
            .iter()
            .flat_map(|cargo| CARGO.map(|name| cargo.join(name))),
    );
    let go = variable("GOPATH").map(PathBuf::from);
    let go = go.or_else(|| home.map(|home| home.join("go")));
    paths.extend(
        go.iter()
            .flat_map(|go| ["bin", "pkg"].map(|name| go.join(name))),
    );
    paths.extend(
        home.iter()
            .flat_map(|home| HOME.map(|name| home.join(name))),
    );
    // Nothing that would open a home folder, or everything.
    let whole = |path: &Path| home.is_some_and(|home| home.starts_with(path));
    paths.retain(|path| path.is_absolute() && path.parent().is_some() && !whole(path));
    paths
}

/// A folder of programs, and what they are made of.
fn around(folder: PathBuf, home: Option<&Path>) -> Vec<PathBuf> {
    let named = |path: &Path, names: &[&str]| names.iter().any(|name| path.ends_with(name));
    if let Some(parent) = folder.parent() {
        if folder.ends_with("node_modules/.bin") {
            return vec![parent.to_owned()];
        }
        if named(&folder, &["bin", "sbin", "shims"]) && Some(parent) != home {
            let kept = home.is_some_and(|home| parent == home.join(".local"));
            // What programs keep of people lies in ~/.local/share.
            let beside = BESIDE.iter().filter(|name| !(kept && **name == "share"));
            let beside: Vec<PathBuf> = beside.map(|name| parent.join(name)).collect();
            return beside.into_iter().chain([folder]).collect();
        }
    }
    vec![folder]
}

/// What git needs of a repository that a folder lies in, or that shares its
/// objects: git's own folders alone.
pub(super) fn repository(root: &Path) -> Vec<PathBuf> {
    let Some(top) = root.ancestors().find(|folder| folder.join(".git").exists()) else {
        return Vec::new();
    };
    let mut folders = super::git_folders(top);
    let own = top.join(".git");
    if own.is_dir() {
        folders.push(own);
    }
    let shared: Vec<PathBuf> = folders
        .iter()
        .flat_map(|folder| alternates(folder))
        .collect();
    folders.extend(shared);
    folders
}

/// Stores of objects that this one borrows from. The list is a file that
/// commands can write, so it is believed only where it names such a store.
fn alternates(git: &Path) -> Vec<PathBuf> {
    let objects = git.join("objects");
    let list = std::fs::read_to_string(objects.join("info/alternates")).unwrap_or_default();
    let stores = list
        .lines()
        .filter_map(|line| objects.join(line).canonicalize().ok());
    let is_store = |store: &PathBuf| {
        let beside = |name: &str| store.parent().is_some_and(|git| git.join(name).exists());
        store.ends_with("objects") && beside("HEAD") && beside("refs")
    };
    stores.filter(is_store).take(16).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(variables: &[(&str, &str)]) -> Vec<PathBuf> {
        let find = |name: &str| variables.iter().find(|(known, _)| *known == name);
        tools(&|name| find(name).map(|(_, value)| OsString::from(value)))
    }

    fn check(paths: &[PathBuf], path: &str, open: bool) {
        let found = paths
            .iter()
            .any(|folder| Path::new(path).starts_with(folder));
        assert_eq!(found, open, "{path}");
    }

    #[test]
    fn tools_are_open_and_the_rest_of_a_home_is_not() {
        let path = "/home/u/.cargo/bin:/home/u/.local/bin:/home/u/bin:/srv/node/bin:/p/node_modules/.bin:/home/u:/:rel/bin";
        let paths = of(&[("HOME", "/home/u"), ("PATH", path), ("JAVA_HOME", "/home")]);
        for open in [
            "/home/u/.cargo/bin/cargo",
            "/home/u/.cargo/registry/x",
            "/home/u/.rustup/toolchains/x",
            "/home/u/.local/bin/x",
            "/home/u/.local/lib/x",
            "/home/u/bin/x",
            "/home/u/.gitconfig",
            "/srv/node/lib/x",
            "/p/node_modules/x",
        ] {
            check(&paths, open, true);
        }
        for closed in [
            "/home/u/.cargo/credentials.toml",
            "/home/u/.local/share/keyrings/x",
            "/home/u/.ssh/id_ed25519",
            "/home/u/.aws/credentials",
            "/home/u/.config/git/credentials",
            "/home/u/lib/x",
            "/home/v/x",
            "/p/secret",
            "/etc/shadow",
        ] {
            check(&paths, closed, false);
        }
        assert_eq!(of(&[("PATH", "/")]), Vec::<PathBuf>::new());
        let paths = of(&[
            ("HOME", "/home/u"),
            ("GIT_CONFIG_GLOBAL", "/srv/git.config"),
        ]);
        check(&paths, "/srv/git.config", true);
        check(&paths, "/srv/x", false);
    }

    #[test]
    fn secrets_of_the_system_are_left_out() {
        let paths = always();
        for closed in [
            "/etc/shadow",
            "/etc/ssh/ssh_host_ed25519_key",
            "/etc/ssl/private/x",
        ] {
            check(&paths, closed, false);
        }
        check(&paths, "/etc/passwd", true);
        check(&paths, "/usr/bin/env", true);
    }

    #[test]
    fn a_store_of_objects_is_believed_only_where_it_is_one() {
        let outer = tempfile::tempdir().unwrap();
        let outer = outer.path().canonicalize().unwrap();
        let (own, other) = (outer.join("r/.git"), outer.join("o/.git"));
        for folder in [
            own.join("objects/info"),
            other.join("objects"),
            outer.join("r/sub"),
        ] {
            std::fs::create_dir_all(folder).unwrap();
        }
        let list = format!("{}\n{}\n", other.join("objects").display(), outer.display());
        std::fs::write(own.join("objects/info/alternates"), list).unwrap();
        let sub = outer.join("r/sub");
        assert_eq!(repository(&sub), std::slice::from_ref(&own));
        std::fs::create_dir(other.join("refs")).unwrap();
        std::fs::write(other.join("HEAD"), "").unwrap();
        let expected = [own, other.join("objects")];
        assert_eq!(repository(&sub), expected);
    }
}
