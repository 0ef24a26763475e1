//! The installation's signing key and what is derived from it.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use super::{Secret, base64url, from_base64url};
use crate::entropy::{self, EntropyError};

type HmacSha256 = Hmac<Sha256>;

/// Bytes of randomness in a stored token: 43 characters of base64url.
pub const TOKEN_BYTES: usize = 32;
/// The shortest key that is accepted, in bytes.
pub const MIN_KEY_BYTES: usize = 32;

/// The key is unusable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// It is shorter than 32 bytes.
    #[error("the signing key has fewer than 32 bytes")]
    TooShort,
}

/// The HMAC of a token, as the database keeps it: 43 characters of base64url.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TokenHash(String);

impl TokenHash {
    /// The stored form.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A hash read back from where it was stored.
    pub fn from_stored(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// A short public name for what the token opens, to list and revoke it by. It reveals nothing:
    /// a hash is not a token.
    pub fn handle(&self) -> &str {
        self.0.get(..16).unwrap_or(&self.0)
    }
}

/// The installation's HMAC-SHA256 key. Everything derived from it is separated by a label.
#[derive(Clone)]
pub struct SigningKey {
    mac: HmacSha256,
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("SigningKey(…)")
    }
}

impl SigningKey {
    /// The key from its configured text, of at least 32 bytes.
    pub fn new(secret: &Secret) -> Result<Self, KeyError> {
        let bytes = secret.expose().as_bytes();
        if bytes.len() < MIN_KEY_BYTES {
            return Err(KeyError::TooShort);
        }
        let mac = HmacSha256::new_from_slice(bytes).map_err(|_| KeyError::TooShort)?;
        Ok(Self { mac })
    }

    fn mac(&self, label: &str, message: &[u8]) -> HmacSha256 {
        let mut mac = self.mac.clone();
        // The length keeps label and message from running into each other.
        mac.update(&(label.len() as u64).to_be_bytes());
        mac.update(label.as_bytes());
        mac.update(message);
        mac
    }

    /// The MAC of a message under a label.
    pub(super) fn authenticate(&self, label: &str, message: &[u8]) -> Vec<u8> {
        self.mac(label, message).finalize().into_bytes().to_vec()
    }

    /// Whether `code` is the MAC of the message under the label, in constant time.
    pub(super) fn verify_code(&self, label: &str, message: &[u8], code: &[u8]) -> bool {
        self.mac(label, message).verify_slice(code).is_ok()
    }

    /// The hash under which a token of the kind `prefix` is stored. Looking it up by equality in an
    /// index is safe: without the key nobody can steer its bytes.
    pub fn hash_token(&self, prefix: &str, token: &str) -> TokenHash {
        TokenHash(base64url(&self.authenticate(prefix, token.as_bytes())))
    }

    /// Whether a token belongs to a stored hash, in constant time.
    pub fn token_matches(&self, prefix: &str, token: &str, stored: &TokenHash) -> bool {
        from_base64url(stored.as_str())
            .is_some_and(|code| self.verify_code(prefix, token.as_bytes(), &code))
    }

    /// Whether two secrets are equal, in constant time whatever their lengths.
    pub fn secrets_equal(&self, left: &Secret, right: &Secret) -> bool {
        let code = self.authenticate("equality", left.expose().as_bytes());
        self.verify_code("equality", right.expose().as_bytes(), &code)
    }
}

/// A new token: the prefix (`sam_ses_`) and 43 random characters.
pub fn random_token(prefix: &str) -> Result<Secret, EntropyError> {
    let random = entropy::bytes::<TOKEN_BYTES>()?;
    Ok(Secret::new(format!("{prefix}{}", base64url(&random))))
}

/// Whether two hashes are the same text, in a time that does not tell where they differ.
pub fn same_hash(left: &str, right: &str) -> bool {
    let differing = left
        .bytes()
        .zip(right.bytes())
        .fold(0u8, |differing, (a, b)| differing | (a ^ b));
    left.len() == right.len() && !left.is_empty() && differing == 0
}

/// The SHA-256 of some bytes in the URL alphabet: the challenge of a PKCE verifier.
pub fn sha256_base64url(bytes: &[u8]) -> String {
    base64url(&Sha256::digest(bytes))
}

/// The SHA-256 of some bytes in lower-case hexadecimal: the name of a body.
pub fn sha256_hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(64);
    for byte in Sha256::digest(bytes) {
        for digit in [byte >> 4, byte & 15] {
            text.push(char::from_digit(u32::from(digit), 16).unwrap_or('0'));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> SigningKey {
        SigningKey::new(&Secret::new(text)).unwrap()
    }

    #[test]
    fn a_short_key_is_refused() {
        assert_eq!(
            SigningKey::new(&Secret::new("x".repeat(31))).err(),
            Some(KeyError::TooShort)
        );
        assert!(SigningKey::new(&Secret::new("x".repeat(32))).is_ok());
    }

    #[test]
    fn a_token_matches_its_own_hash_alone() {
        let key = key("0123456789abcdef0123456789abcdef");
        let token = random_token("sam_ses_").unwrap();
        let stored = key.hash_token("sam_ses_", token.expose());
        assert_eq!(token.expose().len(), "sam_ses_".len() + 43);
        assert_eq!(stored.as_str().len(), 43);
        assert!(key.token_matches("sam_ses_", token.expose(), &stored));
        assert!(!key.token_matches("sam_lnk_", token.expose(), &stored));
        assert!(!key.token_matches("sam_ses_", "sam_ses_other", &stored));
        assert!(!key.token_matches(
            "sam_ses_",
            token.expose(),
            &TokenHash::from_stored("not base64!")
        ));
        let other = self::key("fedcba9876543210fedcba9876543210");
        assert!(!other.token_matches("sam_ses_", token.expose(), &stored));
    }

    #[test]
    fn tokens_are_not_repeated() {
        let first = random_token("sam_ses_").unwrap();
        let second = random_token("sam_ses_").unwrap();
        assert_ne!(first.expose(), second.expose());
    }

    #[test]
    fn secrets_compare_by_value() {
        let key = key("0123456789abcdef0123456789abcdef");
        let claim = Secret::new("claim-token");
        assert!(key.secrets_equal(&claim, &Secret::new("claim-token")));
        assert!(!key.secrets_equal(&claim, &Secret::new("claim-toke")));
        assert!(!key.secrets_equal(&claim, &Secret::new("")));
    }

    #[test]
    fn hashes_compare_whole() {
        for (left, right, same) in [
            ("abc", "abc", true),
            ("abc", "abd", false),
            ("abc", "ab", false),
            ("ab", "abc", false),
            ("", "", false),
        ] {
            assert_eq!(same_hash(left, right), same, "{left:?} {right:?}");
        }
    }

    #[test]
    fn sha256_is_the_standard_one() {
        assert_eq!(
            sha256_hex(b"abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        // The example of RFC 7636, appendix B.
        assert_eq!(
            sha256_base64url(b"dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
            "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
        );
    }
}
