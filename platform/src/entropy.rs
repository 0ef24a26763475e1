//! Randomness from the runtime's cryptographic source.

/// The source of randomness did not answer. Nothing that needs a secret may go on without it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the source of randomness did not answer")]
pub struct EntropyError;

/// `N` random bytes.
pub fn bytes<const N: usize>() -> Result<[u8; N], EntropyError> {
    let mut buffer = [0u8; N];
    getrandom::fill(&mut buffer).map_err(|_| EntropyError)?;
    Ok(buffer)
}

/// A seed for one turn of a machine (`sam_domain::time::Turn`).
pub fn seed() -> Result<u64, EntropyError> {
    Ok(u64::from_le_bytes(bytes::<8>()?))
}

/// 128 bits to mint an id from.
pub fn for_id() -> Result<u128, EntropyError> {
    Ok(u128::from_le_bytes(bytes::<16>()?))
}
