//! From a compiled wasm library to an optimised module with its glue.

use std::path::{Path, PathBuf};
use std::process::Command;

use wasm_bindgen_cli_support::{Bindgen, Output};

use crate::error::{Error, Result};
use crate::paths::{self, Paths};
use crate::process;

/// What the target enables in rustc 1.95 and every runtime we run on supports.
const FEATURES: &[&str] = &[
    "--enable-mutable-globals",
    "--enable-sign-ext",
    "--enable-nontrapping-float-to-int",
    "--enable-bulk-memory",
    "--enable-multivalue",
    "--enable-reference-types",
    "--enable-exception-handling",
];

/// Small when compressed, which is how it travels: code inlined into its one
/// caller looks like nothing else, and functions of one generic stand together.
const SMALLEST: &[&str] = &[
    "--flatten",
    "--rereloop",
    "-Oz",
    "--one-caller-inline-max-function-size=0",
    "--always-inline-max-function-size=2",
    "--flexible-inline-max-function-size=5",
    "--reorder-functions-by-name",
];

/// A module and the JavaScript that talks to it.
pub(crate) struct Bound {
    /// The glue: an ES module for the `web` target, `initSync` included.
    pub(crate) glue: PathBuf,
    /// The optimised module.
    pub(crate) module: PathBuf,
}

/// Compiles a library of the workspace for wasm32 and returns its path.
pub(crate) fn compile(paths: &Paths, package: &str, features: &[&str]) -> Result<PathBuf> {
    compile_together(paths, &[package], features)?;
    Ok(paths.wasm_library(package))
}

/// Compiles libraries that share what they depend on: named in one command, so that its features
/// are settled, and it is compiled, once for all of them.
pub(crate) fn compile_together(paths: &Paths, packages: &[&str], features: &[&str]) -> Result<()> {
    let mut cargo = process::cargo(paths);
    cargo
        .args(["build", "--profile", "wasm", "--lib"])
        .args(packages.iter().flat_map(|package| ["--package", package]))
        .args(["--target", "wasm32-unknown-unknown"])
        .arg("--config")
        .arg(shortened_paths());
    if !features.is_empty() {
        cargo.arg("--features").arg(features.join(","));
    }
    process::run(&mut cargo)
}

/// Flags beside those of `.cargo/config.toml`: messages name a dependency's file
/// as `leptos-0.8/src/…`, not where this machine keeps it.
fn shortened_paths() -> String {
    let home = std::env::var("CARGO_HOME").or_else(|_| {
        let home = std::env::var("HOME")?;
        Ok::<_, std::env::VarError>(format!("{home}/.cargo"))
    });
    let sources = PathBuf::from(home.unwrap_or_default()).join("registry/src");
    let folders = std::fs::read_dir(&sources).into_iter().flatten().flatten();
    let flags: Vec<String> = folders
        .map(|folder| format!("\"--remap-path-prefix={}/=\"", folder.path().display()))
        .collect();
    format!(
        "target.wasm32-unknown-unknown.rustflags=[{}]",
        flags.join(",")
    )
}

/// How much time to spend on a small module.
#[derive(Clone, Copy)]
pub(crate) enum Size {
    /// What people download, and what is billed by its start.
    Smallest,
    /// What only tests run.
    Quick,
}

/// Runs wasm-bindgen and wasm-opt into `scratch`, which is emptied first.
pub(crate) fn bind(paths: &Paths, library: &Path, scratch: &Path, size: Size) -> Result<Bound> {
    let wasm_opt = paths.npm_program("wasm-opt")?;
    paths::fresh_directory(scratch)?;
    let refused = |error: &dyn std::fmt::Display| Error::Bindgen {
        path: library.to_path_buf(),
        reason: error.to_string(),
    };
    let mut output = Bindgen::new()
        .input_path(library)
        .web(true)
        .map_err(|error| refused(&format!("{error:#}")))?
        .out_name("index")
        .typescript(false)
        .omit_default_module_path(true)
        .remove_producers_section(true)
        .generate_output()
        .map_err(|error| refused(&format!("{error:#}")))?;
    let shorter = shorten(&mut output);
    output
        .emit(scratch)
        .map_err(|error| refused(&format!("{error:#}")))?;
    let glue = scratch.join("index.js");
    let shortened = shorter
        .iter()
        .fold(paths::read(&glue)?, |text, (long, short)| {
            text.replace(long, short)
        });
    paths::write(&glue, shortened)?;
    let raw = scratch.join("index_bg.wasm");
    let module = scratch.join("optimised.wasm");
    process::run(
        Command::new(wasm_opt)
            .args(match size {
                Size::Smallest => SMALLEST,
                Size::Quick => &["-O1"],
            })
            .args(FEATURES)
            .arg(&raw)
            .arg("-o")
            .arg(&module),
    )?;
    Ok(Bound { glue, module })
}

/// Numbers the names by which the module calls its glue. Those that wasm-bindgen makes up end in a hash,
/// which no compression makes smaller. Returns the names, old and new. The glue's calls stay: their names
/// may go on after the hash.
fn shorten(output: &mut Output) -> Vec<(String, String)> {
    let imports = output.wasm_mut().imports.iter_mut();
    let hashed = imports
        .map(|import| &mut import.name)
        .filter(|name| is_hashed(name));
    hashed
        .enumerate()
        .map(|(index, name)| {
            let stem = name.strip_prefix("__wbg_").unwrap_or(name);
            let stem = stem.get(..stem.len() - HASH).unwrap_or_default();
            let short = format!("{stem}{index}");
            (std::mem::replace(name, short.clone()), short)
        })
        .collect()
}

/// Digits of the hash that a name ends in.
const HASH: usize = 16;

/// Whether a name ends in a hash, so that it stands nowhere but where it is meant.
fn is_hashed(name: &str) -> bool {
    if !name.starts_with("__wbg_") {
        return false;
    }
    let digits = name.len().checked_sub(HASH).and_then(|at| name.get(at..));
    digits.is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// One line on what was delivered, with its size.
pub(crate) fn report(what: &str, files: &[PathBuf]) {
    let bytes: u64 = files
        .iter()
        .filter_map(|file| file.metadata().ok())
        .map(|metadata| metadata.len())
        .sum();
    eprintln!("{what}: {} KB", bytes / 1024);
}
