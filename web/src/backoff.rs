//! When to try a lost connection again.

use sam_domain::time::Millis;

const FIRST: u64 = 500;
const LONGEST: u64 = 30_000;

/// The wait before try number `attempt` (from 0): doubling from half a second
/// to 30 s, of which `chance` (0 to 1) takes away up to half, so that many
/// browsers do not come back in the same moment.
pub(crate) fn wait(attempt: u32, chance: f64) -> Millis {
    let whole = FIRST.saturating_mul(1 << attempt.min(6)).min(LONGEST);
    let half = whole / 2;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "between 0 and 15,000"
    )]
    let taken = (half as f64 * chance.clamp(0.0, 1.0)) as u64;
    Millis(whole - taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_bound_and_are_spread() {
        assert_eq!(wait(0, 0.0), Millis(500));
        assert_eq!(wait(0, 1.0), Millis(250));
        assert_eq!(wait(3, 0.0), Millis(4_000));
        assert_eq!(wait(40, 0.0), Millis(30_000));
        assert_eq!(wait(40, 1.0), Millis(15_000));
        assert_eq!(wait(1, f64::NAN).0.min(1_000), wait(1, f64::NAN).0);
    }
}
