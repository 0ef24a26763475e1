//! `dist/web`: the web app as static files; and `dist/pages`, the same with the
//! small program that passes the API on, for Cloudflare Pages.
//!
//! `web/static/` is copied: files named in `index.html` get the hash of their
//! content into their names, so that they may be cached for ever while
//! `index.html` itself is always asked for. Placeholders in `index.html`:
//!
//! | placeholder | becomes |
//! |---|---|
//! | `{{script}}` | address of the module that starts the app |
//! | `{{wasm}}` | address of the wasm module |
//! | `{{asset:NAME}}` | address of `web/static/NAME` |
//!
//! `_headers` says how long files may be kept; `web/static/_headers` replaces it.
//! Every address is absolute from the root (`/assets/…`), because the app's
//! own paths are deep. The start module exports nothing; it runs the app. The
//! Markdown parser and the pages of administration are modules of their own beside
//! it, fetched when first needed.
//!
//! `openapi.json` and `install.sh` lie beside the app: the Worker hands them out.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::{Error, Result};
use crate::paths::{self, Paths};
use crate::stamp::{self, Inputs};
use crate::{process, wasm};

/// A hashed name never changes its content.
const DEFAULT_HEADERS: &str = "/assets/*\n  Cache-Control: public, max-age=31536000, immutable\n\
    /*\n  X-Content-Type-Options: nosniff\n  Referrer-Policy: no-referrer\n";

/// The compiled libraries.
pub(crate) struct Libraries {
    app: PathBuf,
    late: Vec<(Late, PathBuf)>,
}

/// A module that the app fetches when it first needs it.
struct Late {
    package: &'static str,
    /// What its files are called.
    name: &'static str,
    /// The function by which the app fetches it.
    function: &'static str,
    /// What it exports to the app.
    exports: &'static str,
}

/// What people wait for first.
const APP: &str = "sam-web";

const LATE: [Late; 2] = [
    Late {
        package: "sam-web-markdown",
        name: "markdown",
        function: "samMarkdown",
        exports: "blocks, code",
    },
    Late {
        package: "sam-web-administration",
        name: "administration",
        function: "samAdministration",
        exports: "mount",
    },
];

/// Compiles the web app and delivers it into `dist/web`.
pub(crate) fn build(paths: &Paths) -> Result<()> {
    let libraries = compile(paths)?;
    deliver(paths, &libraries)
}

/// Compiles the app and what it fetches late.
pub(crate) fn compile(paths: &Paths) -> Result<Libraries> {
    let packages: Vec<_> = std::iter::once(APP)
        .chain(LATE.iter().map(|late| late.package))
        .collect();
    wasm::compile_together(paths, &packages, &[])?;
    let library = |late: Late| {
        let library = paths.wasm_library(late.package);
        (late, library)
    };
    Ok(Libraries {
        app: paths.wasm_library(APP),
        late: LATE.into_iter().map(library).collect(),
    })
}

/// Delivers what was compiled; skipped when nothing changed.
pub(crate) fn deliver(paths: &Paths, libraries: &Libraries) -> Result<()> {
    let fixed = paths.root.join("web/static");
    let out = paths.dist("web");

    let mut inputs = Inputs::new("web 7");
    inputs.add(&libraries.app)?;
    for (_, library) in &libraries.late {
        inputs.add(library)?;
    }
    inputs.add(&fixed)?;
    let pages_program = paths.root.join("worker/entry/pages.mjs");
    inputs.add(&pages_program)?;
    let document = paths.root.join("docs/openapi.json");
    inputs.add(&document)?;
    let installer = paths.root.join("cli/install.sh");
    inputs.add(&installer)?;
    inputs.add(&paths.root.join("package-lock.json"))?;
    inputs.add(&paths.root.join("Cargo.lock"))?;
    let inputs = inputs.finish();
    let stamp = paths.dist("web.stamp");
    if stamp::is_current(&stamp, &inputs) && out.join("index.html").exists() {
        return Ok(());
    }

    paths::fresh_directory(&out)?;
    let assets = out.join("assets");
    paths::fresh_directory(&assets)?;

    // Each of them takes a processor for a while.
    let late = std::thread::scope(|scope| {
        let deliveries: Vec<_> = libraries
            .late
            .iter()
            .map(|(late, library)| scope.spawn(|| late_program(paths, late, library, &assets)))
            .collect();
        deliveries
            .into_iter()
            .map(|delivery| {
                delivery
                    .join()
                    .map_err(|_| Error::Refused("a delivery broke off".into()))?
            })
            .collect::<Result<String>>()
    })?;
    let scratch = paths.scratch("web");
    let (module, script) = program(paths, &libraries.app, &scratch, &assets, "app", |module| {
        format!(
            "import init from \"./index.js\";\n{late}\
             init({{ module_or_path: \"{module}\" }});\n"
        )
    })?;
    let mut page = paths::read(&fixed.join("index.html"))?
        .replace("{{script}}", &script)
        .replace("{{wasm}}", &module);
    page = copy_fixed(&fixed, &fixed, &out, page)?;
    if let Some(rest) = page.split("{{").nth(1) {
        let name = rest.split("}}").next().unwrap_or(rest);
        return Err(Error::Refused(format!(
            "web/static/index.html: no file for the placeholder {{{{{name}}}}}"
        )));
    }
    paths::write(&out.join("index.html"), page)?;
    let headers = out.join("_headers");
    if !headers.exists() {
        paths::write(&headers, DEFAULT_HEADERS)?;
    }
    paths::copy(&document, &out.join("openapi.json"))?;
    paths::copy(&installer, &out.join("install.sh"))?;
    let pages = paths.dist("pages");
    paths::fresh_directory(&pages)?;
    copy_all(&out, &pages)?;
    paths::copy(&pages_program, &pages.join("_worker.js"))?;
    stamp::remember(&stamp, &inputs)?;
    wasm::report(&out.display().to_string(), &stamp::sorted_entries(&assets)?);
    Ok(())
}

/// Delivers a module that is fetched late; answers the line that tells the app where it is.
fn late_program(paths: &Paths, late: &Late, library: &Path, assets: &Path) -> Result<String> {
    let Late {
        name,
        function,
        exports,
        ..
    } = late;
    let scratch = paths.scratch(&format!("web-{name}"));
    let (_, script) = program(paths, library, &scratch, assets, name, |module| {
        format!(
            "import init from \"./index.js\";\n\
             await init({{ module_or_path: \"{module}\" }});\n\
             export {{ {exports} }} from \"./index.js\";\n"
        )
    })?;
    Ok(format!(
        "globalThis.{function} = () => import(\"{script}\");\n"
    ))
}

/// Delivers a wasm library with its glue, bundled and minified behind a start
/// script that is told the module's address; answers the module's and the script's address.
fn program(
    paths: &Paths,
    library: &Path,
    scratch: &Path,
    assets: &Path,
    name: &str,
    start: impl FnOnce(&str) -> String,
) -> Result<(String, String)> {
    let bound = wasm::bind(paths, library, scratch, wasm::Size::Smallest)?;
    let module = put(assets, name, "wasm", &read_bytes(&bound.module)?)?;
    let entry = scratch.join("start.js");
    paths::write(&entry, start(&module))?;
    let bundled = scratch.join("bundled.js");
    process::run(
        Command::new(paths.npm_program("esbuild")?)
            .arg(&entry)
            .args(["--bundle", "--format=esm", "--minify", "--target=es2022"])
            .args(["--external:/assets/*", "--log-level=warning"])
            .arg(format!("--outfile={}", bundled.display())),
    )?;
    let script = put(assets, name, "js", &read_bytes(&bundled)?)?;
    Ok((module, script))
}

/// Copies the fixed files; those that the page names get hashed names.
fn copy_fixed(root: &Path, folder: &Path, out: &Path, mut page: String) -> Result<String> {
    for entry in stamp::sorted_entries(folder)? {
        let relative = entry.strip_prefix(root).unwrap_or(&entry);
        let name = relative.to_string_lossy().into_owned();
        let placeholder = format!("{{{{asset:{name}}}}}");
        if entry.is_dir() {
            page = copy_fixed(root, &entry, out, page)?;
        } else if page.contains(&placeholder) {
            let stem = file_part(relative.file_stem());
            let extension = file_part(relative.extension());
            let content = read_bytes(&entry)?;
            let address = put(&out.join("assets"), &stem, &extension, &content)?;
            page = page.replace(&placeholder, &address);
        } else if name != "index.html" {
            let target = out.join(relative);
            if let Some(parent) = target.parent() {
                std::fs::create_dir_all(parent).map_err(Error::io(parent))?;
            }
            paths::copy(&entry, &target)?;
        }
    }
    Ok(page)
}

/// Copies a folder into another.
fn copy_all(from: &Path, to: &Path) -> Result<()> {
    for entry in stamp::sorted_entries(from)? {
        let target = to.join(entry.file_name().unwrap_or_default());
        if entry.is_dir() {
            std::fs::create_dir_all(&target).map_err(Error::io(&target))?;
            copy_all(&entry, &target)?;
        } else {
            paths::copy(&entry, &target)?;
        }
    }
    Ok(())
}

/// Writes a file under a name that carries its hash; answers its address.
fn put(assets: &Path, stem: &str, extension: &str, content: &[u8]) -> Result<String> {
    let name = format!("{stem}-{}.{extension}", stamp::short_hash(content));
    paths::write(&assets.join(&name), content)?;
    Ok(format!("/assets/{name}"))
}

fn read_bytes(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(Error::io(path))
}

fn file_part(part: Option<&std::ffi::OsStr>) -> String {
    part.map(|part| part.to_string_lossy().into_owned())
        .unwrap_or_default()
}
