//! `dist/worker`: the control plane as one JavaScript module and one wasm module.
//!
//! The glue that wasm-bindgen makes is turned into a function, so that
//! `worker/entry` can make a fresh instance with fresh glue when one ends:
//! nothing of an ended instance is ever used again.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::Result;
use crate::paths::{self, Paths};
use crate::stamp::{self, Inputs};
use crate::{process, wasm};

/// The names that `worker/entry/generation.mjs` passes to the glue, in order.
const GLUE_PARAMETERS: &str = "require, WebAssembly, ReadableStream";

/// Which Worker to build.
#[derive(Clone, Copy)]
pub(crate) enum Variant {
    /// What is deployed.
    Product,
    /// With forced traps and other faults that tests ask for.
    FaultInjection,
}

impl Variant {
    fn directory(self) -> &'static str {
        match self {
            Variant::Product => "worker",
            Variant::FaultInjection => "worker-fault",
        }
    }

    /// Packages of their own: cargo names a wasm library by its package alone, so one package
    /// with two sets of features would be compiled anew by every other build.
    fn package(self) -> &'static str {
        match self {
            Variant::Product => "sam-worker",
            Variant::FaultInjection => "sam-worker-fault",
        }
    }

    fn features(self) -> &'static [&'static str] {
        match self {
            Variant::Product => &[],
            Variant::FaultInjection => &["fault-injection"],
        }
    }

    fn size(self) -> wasm::Size {
        match self {
            Variant::Product => wasm::Size::Smallest,
            Variant::FaultInjection => wasm::Size::Quick,
        }
    }
}

/// Compiles and bundles the Worker into `dist/`.
pub(crate) fn build(paths: &Paths, variant: Variant) -> Result<()> {
    let library = compile(paths, variant)?;
    deliver(paths, variant, &library)
}

/// Compiles the Worker; answers its library.
pub(crate) fn compile(paths: &Paths, variant: Variant) -> Result<PathBuf> {
    wasm::compile(paths, variant.package(), variant.features())
}

/// Bundles a compiled Worker into `dist/`.
pub(crate) fn deliver(paths: &Paths, variant: Variant, library: &Path) -> Result<()> {
    let out = paths.dist(variant.directory());
    bundle(paths, library, &out, variant.size())
}

/// Bundles a compiled Worker with the entry; skipped when neither changed.
pub(crate) fn bundle(paths: &Paths, library: &Path, out: &Path, size: wasm::Size) -> Result<()> {
    let entry = paths.root.join("worker/entry");
    let mut inputs = Inputs::new("worker 8");
    inputs.add(library)?;
    inputs.add(&entry)?;
    inputs.add(&paths.root.join("package-lock.json"))?;
    inputs.add(&paths.root.join("Cargo.lock"))?;
    let document = paths.root.join("docs/openapi.json");
    inputs.add(&document)?;
    let installer = paths.root.join("cli/install.sh");
    inputs.add(&installer)?;
    let inputs = inputs.finish();
    let stamp = out.join(".stamp");
    let (script, module) = (out.join("index.js"), out.join("index_bg.wasm"));
    if stamp::is_current(&stamp, &inputs) {
        return Ok(());
    }
    let esbuild = paths.npm_program("esbuild")?;
    let scratch = paths.scratch(&out.file_name().unwrap_or_default().to_string_lossy());
    let bound = wasm::bind(paths, library, &scratch, size)?;

    let glue = scratch.join("glue.mjs");
    process::run(
        Command::new(&esbuild)
            .arg(&bound.glue)
            .args(["--bundle", "--format=cjs", "--platform=neutral"])
            .args(["--external:cloudflare:*", "--external:sam:*"])
            // Generated: what is worth reading in a stack is the entry's.
            .arg("--minify-identifiers")
            .arg("--log-level=warning")
            .arg(format!(
                "--banner:js=export default function instantiate({GLUE_PARAMETERS}) {{ const module = {{ exports: {{}} }};"
            ))
            .arg("--footer:js=return module.exports; }")
            .arg(format!("--outfile={}", glue.display())),
    )?;
    paths::fresh_directory(out)?;
    process::run(
        Command::new(&esbuild)
            .arg(entry.join("index.mjs"))
            .args(["--bundle", "--format=esm", "--platform=neutral"])
            .args(["--external:./index_bg.wasm", "--external:cloudflare:*"])
            // Names stay, for whoever reads a stack.
            .args(["--minify-whitespace", "--minify-syntax"])
            .arg("--log-level=warning")
            .arg(format!("--alias:sam:glue={}", glue.display()))
            .arg(format!("--outfile={}", script.display())),
    )?;
    paths::copy(&bound.module, &module)?;
    // What the Worker is asked for and does not hold itself; `dist/web` has it too.
    let assets = out.join("assets");
    paths::fresh_directory(&assets)?;
    paths::copy(&document, &assets.join("openapi.json"))?;
    paths::copy(&installer, &assets.join("install.sh"))?;
    stamp::remember(&stamp, &inputs)?;
    wasm::report(&out.display().to_string(), &[script, module]);
    Ok(())
}
