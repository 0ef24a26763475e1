//! Build steps and tidiness checks of this repository, run as `cargo xtask`.
//!
//! Everything a build needs beyond cargo comes from `node_modules` (wasm-opt,
//! esbuild) or from Cargo.lock (wasm-bindgen, used as a library): nothing is
//! installed or downloaded here. `scripts/lib/bootstrap.sh` makes sure that
//! both are in place.

mod build_native;
mod build_web;
mod build_worker;
mod dialects;
mod error;
mod generate;
mod paths;
mod process;
mod stamp;
mod tidy;
mod wasm;

use std::process::ExitCode;

use error::{Error, Result};
use paths::Paths;

const USAGE: &str = "\
cargo xtask <command>

  build all                        everything below
  build worker [--fault-injection] dist/worker (or dist/worker-fault): the control plane
  build web                        dist/web: the web app; dist/pages: the same for Pages
  build native                     target/release: sam, sam-vm-agent, sam-harness, sam-sims
  build release TARGET PROGRAM…    target/TARGET/release: programs to hand out, small and, on Linux, static
  bundle-worker WASM OUT           the last step of `build worker` alone
  generate [--check]               the reference pages under docs/, or whether they are in step
  tidy                             checks on the repository itself
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Error::Usage(what)) => {
            eprintln!("{what}\n\n{USAGE}");
            ExitCode::from(2)
        }
        Err(error) => {
            eprintln!("xtask: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Compiles one thing after the other, each with all processors, while what was compiled before is
/// optimised and bundled beside it by programs that use one.
fn build_all(paths: &Paths) -> Result<()> {
    use build_worker::Variant::{FaultInjection, Product};
    std::thread::scope(|scope| {
        let mut deliveries = Vec::new();
        let library = build_worker::compile(paths, Product)?;
        deliveries.push(scope.spawn(move || build_worker::deliver(paths, Product, &library)));
        let libraries = build_web::compile(paths)?;
        deliveries.push(scope.spawn(move || build_web::deliver(paths, &libraries)));
        let library = build_worker::compile(paths, FaultInjection)?;
        deliveries
            .push(scope.spawn(move || build_worker::deliver(paths, FaultInjection, &library)));
        build_native::build(paths)?;
        deliveries.into_iter().try_for_each(|delivery| {
            delivery
                .join()
                .map_err(|_| Error::Refused("a delivery broke off".into()))?
        })
    })
}

fn run(arguments: &[String]) -> Result<()> {
    let paths = Paths::find()?;
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["build", "worker"] => build_worker::build(&paths, build_worker::Variant::Product),
        ["build", "worker", "--fault-injection"] => {
            build_worker::build(&paths, build_worker::Variant::FaultInjection)
        }
        ["build", "web"] => build_web::build(&paths),
        ["build", "native"] => build_native::build(&paths),
        ["build", "release", target, programs @ ..] if !programs.is_empty() => {
            build_native::build_release(&paths, target, programs)
        }
        ["build", "all"] => build_all(&paths),
        ["generate"] => generate::run(&paths, generate::Mode::Write),
        ["generate", "--check"] => generate::run(&paths, generate::Mode::Check),
        ["tidy"] => tidy::run(&paths),
        ["bundle-worker", library, out] => {
            build_worker::bundle(&paths, library.as_ref(), out.as_ref(), wasm::Size::Quick)
        }
        ["help" | "--help" | "-h"] => {
            println!("{USAGE}");
            Ok(())
        }
        [] => Err(Error::Usage("a command is missing".into())),
        other => Err(Error::Usage(format!(
            "unknown command: {}",
            other.join(" ")
        ))),
    }
}
