//! What is shipped stays small.

use sam_e2e::sizes::{is_static, shipped};
use sam_e2e::{Result, ensure};

#[test]
fn what_is_shipped_stays_small() -> Result {
    for part in shipped()? {
        ensure(part.kilobytes > 0.0 && part.kilobytes <= part.limit, || {
            format!(
                "{}: {:.0} KB; the limit is {:.0}",
                part.name, part.kilobytes, part.limit
            )
        })?;
    }
    Ok(())
}

#[test]
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
fn the_harness_needs_nothing_of_the_system() -> Result {
    ensure(is_static("sam-harness")?, || {
        "target/release/sam-harness is not static; `cargo xtask build native` makes it so"
            .to_owned()
    })
}
