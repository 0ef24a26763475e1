//! What is shipped stays small.

use sam_e2e::sizes::shipped;
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
