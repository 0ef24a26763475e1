//! `target/release`: the native programs.
//!
//! The harness is carried to other machines and into empty containers, so on
//! Linux it is one static file, built for size; the end-to-end tests run that
//! very file. The others are built in one cargo invocation, so that shared
//! dependencies are compiled once.

use std::process::Command;

use crate::error::{Error, Result};
use crate::paths::Paths;
use crate::process;

/// Packages whose programs a person or an end-to-end test starts.
pub(crate) const PACKAGES: &[&str] = &["sam-cli", "sam-vm-agent", HARNESS, "sam-sims"];

/// The package, and its program.
const HARNESS: &str = "sam-harness";

/// The target whose programs need nothing of the system, where there is one.
const STATIC: Option<&str> = if cfg!(all(target_os = "linux", target_arch = "x86_64")) {
    Some("x86_64-unknown-linux-musl")
} else {
    None
};

/// What makes a program small, as settings of the release profile: with a
/// profile of its own, what runs during the build would be compiled twice.
const SMALL: [(&str, &str); 3] = [
    ("CARGO_PROFILE_RELEASE_OPT_LEVEL", "s"),
    ("CARGO_PROFILE_RELEASE_LTO", "fat"),
    ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "1"),
];

/// Compiles the native programs for release.
pub(crate) fn build(paths: &Paths) -> Result<()> {
    let together = |package: &&&str| STATIC.is_none() || **package != HARNESS;
    process::run(&mut release(paths, PACKAGES.iter().filter(together)))?;
    STATIC.map_or(Ok(()), |target| build_static(paths, target))
}

/// Compiles programs for a target as they are handed out: each one file, built for size.
pub(crate) fn build_release(paths: &Paths, target: &str, programs: &[&str]) -> Result<()> {
    let mut packages = Vec::new();
    for program in programs {
        // The packages are called as their programs, but for one.
        let of = |package: &&&str| package.strip_suffix("-cli").unwrap_or(package) == *program;
        let package = PACKAGES.iter().find(of);
        packages.push(package.ok_or_else(|| Error::Usage(format!("unknown program: {program}")))?);
    }
    let mut cargo = release(paths, packages.into_iter());
    cargo.args(["--target", target]).envs(SMALL);
    if target.ends_with("-linux-musl") {
        compile_c(&mut cargo, target)?;
    }
    process::run(&mut cargo)
}

/// SQLite's C is compiled against the library that the file will contain: by `musl-gcc` for this kind
/// of machine, for another by the compiler that the environment names, and linked by Rust's own linker.
fn compile_c(cargo: &mut Command, target: &str) -> Result<()> {
    let variable = target.replace('-', "_");
    let compiler = format!("CC_{variable}");
    let named = std::env::var_os(&compiler).is_some();
    if !target.starts_with(std::env::consts::ARCH) {
        if !named {
            return Err(Error::Refused(format!(
                "{target}: build it on a machine of that kind, or name a C compiler for it: \
                 {compiler}=scripts/lib/zig-cc (which needs zig, or Python's ziglang)"
            )));
        }
        let linker = format!("CARGO_TARGET_{}_LINKER", variable.to_uppercase());
        if std::env::var_os(&linker).is_none() {
            cargo.env(linker, "rust-lld");
        }
    } else if !named {
        let usual = "musl-gcc";
        if process::is_missing(usual) {
            return Err(Error::Refused(format!(
                "{target}: {usual} is missing (Debian: musl-tools)"
            )));
        }
        cargo.env(compiler, usual);
    }
    Ok(())
}

fn release<'a>(paths: &Paths, packages: impl Iterator<Item = &'a &'a str>) -> Command {
    let mut cargo = process::cargo(paths);
    cargo.args(["build", "--release", "--bins"]);
    for package in packages {
        cargo.args(["--package", package]);
    }
    cargo
}

/// Compiles the harness for a target, and puts it beside the others.
fn build_static(paths: &Paths, target: &str) -> Result<()> {
    let mut cargo = release(paths, [HARNESS].iter());
    cargo.args(["--target", target]).envs(SMALL);
    // The C of the dependencies (ring's) needs headers alone, which any C
    // compiler has; checked variants of functions are the GNU library's.
    let variable = target.replace('-', "_");
    for (name, standard) in [("CC", "cc"), ("CFLAGS", "-U_FORTIFY_SOURCE")] {
        let name = format!("{name}_{variable}");
        if std::env::var_os(&name).is_none() {
            cargo.env(name, standard);
        }
    }
    process::run(&mut cargo)?;
    let built = paths.target.join(target).join("release").join(HARNESS);
    let beside = paths.target.join("release").join(HARNESS);
    // A new file, because the old one may be running.
    let new = beside.with_extension("new");
    std::fs::copy(&built, &new)
        .and_then(|_| std::fs::rename(&new, &beside))
        .map_err(Error::io(&beside))
}
