//! Secrets, keyed hashes of tokens, and stateless signed claims.
//!
//! Two kinds of token exist. A stored one is 32 random bytes behind a prefix that names its kind;
//! the database keeps only its HMAC. A signed one carries its claims and an expiry, and is checked
//! without a read. Keys to model APIs have to come back, and are sealed ([`seal`]). Every MAC covers the prefix, so a token of one kind can never pass as another.

pub mod claims;
pub mod keys;
pub mod seal;
pub mod secret;

pub use claims::{ClaimsError, Expiring};
pub use keys::{
    KeyError, SigningKey, TokenHash, random_token, same_hash, sha256_base64url, sha256_hex,
};
pub use seal::{Keyring, SealError, Sealed};
pub use secret::Secret;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Base64 in the URL alphabet without padding.
pub fn base64url(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Decodes unpadded URL-safe base64; `None` for anything else.
pub fn from_base64url(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}
