//! Secrets that have to come back: AES-256-GCM under a key that has an id.
//!
//! The sealed form is base64url of a random 96-bit nonce and the ciphertext with its tag. What the
//! secret is for goes in as associated data, so that a sealed secret that was moved to another row
//! opens no more.
//!
//! A crate rather than WebCrypto: it costs 12 KB of the compressed Worker, decides without a trip
//! through two promises, and is the same code in native tests.

use aes_gcm::aead::{Aead as _, Payload};
use aes_gcm::{Aes256Gcm, KeyInit as _};

use super::{Secret, SigningKey, base64url, from_base64url};
use crate::entropy::{self, EntropyError};

/// The id of the key that is derived from the signing key.
pub const DERIVED: &str = "secret";
const NONCE_BYTES: usize = 12;
const KEY_BYTES: usize = 32;

/// Why there is no keyring, or a secret cannot be sealed or opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The configured text is not a list of ids and keys.
    #[error("SAM_CREDENTIAL_KEYS is not a list of `id:key` with keys of 32 bytes in base64url")]
    BadKeys,
    /// The key that a secret is sealed under is not configured.
    #[error("the encryption key {0} is not configured")]
    UnknownKey(String),
    /// It was sealed for something else, under another key of that id, or is damaged.
    #[error("the sealed secret does not open")]
    Damaged,
    /// The runtime gave no random bytes.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
}

/// A secret as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// The id of its encryption key.
    pub key_id: String,
    /// The sealed form.
    pub text: String,
}

/// The encryption keys of an installation, the present one first.
#[derive(Clone)]
pub struct Keyring {
    keys: Vec<(String, Aes256Gcm)>,
}

impl std::fmt::Debug for Keyring {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Keyring(…)")
    }
}

impl Keyring {
    /// The keys of a setting, and behind them the one that is derived from the signing key.
    pub fn new(setting: Option<&Secret>, signing: &SigningKey) -> Result<Self, SealError> {
        let mut keys = Vec::new();
        for entry in setting.iter().flat_map(|text| text.expose().split(',')) {
            let (id, key) = entry.trim().split_once(':').ok_or(SealError::BadKeys)?;
            let plain =
                |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
            let good = !id.is_empty() && id.len() <= 64 && id.bytes().all(plain) && id != DERIVED;
            if !good || keys.iter().any(|(known, _)| known == id) {
                return Err(SealError::BadKeys);
            }
            keys.push((
                id.to_owned(),
                cipher(&from_base64url(key).unwrap_or_default())?,
            ));
        }
        let derived = signing.authenticate("credentials", b"encryption key");
        keys.push((DERIVED.to_owned(), cipher(&derived)?));
        Ok(Self { keys })
    }

    /// The id of the present key.
    pub fn present(&self) -> &str {
        self.keys.first().map_or(DERIVED, |(id, _)| id)
    }

    /// Seals a secret under the present key, for this purpose alone.
    pub fn seal(&self, purpose: &str, secret: &Secret) -> Result<Sealed, SealError> {
        let (id, cipher) = self.keys.first().ok_or(SealError::BadKeys)?;
        let nonce = entropy::bytes::<NONCE_BYTES>()?;
        let payload = Payload {
            msg: secret.expose().as_bytes(),
            aad: purpose.as_bytes(),
        };
        let sealed = cipher.encrypt(&nonce.into(), payload);
        let mut bytes = nonce.to_vec();
        bytes.extend(sealed.map_err(|_| SealError::Damaged)?);
        Ok(Sealed {
            key_id: id.clone(),
            text: base64url(&bytes),
        })
    }

    /// Opens a secret that was sealed for this purpose.
    pub fn open(&self, purpose: &str, sealed: &Sealed) -> Result<Secret, SealError> {
        let known = self.keys.iter().find(|(id, _)| *id == sealed.key_id);
        let (_, cipher) = known.ok_or_else(|| SealError::UnknownKey(sealed.key_id.clone()))?;
        let bytes = from_base64url(&sealed.text).ok_or(SealError::Damaged)?;
        let (nonce, text) = bytes
            .split_first_chunk::<NONCE_BYTES>()
            .ok_or(SealError::Damaged)?;
        let payload = Payload {
            msg: text,
            aad: purpose.as_bytes(),
        };
        let opened = cipher.decrypt(&(*nonce).into(), payload);
        let text = String::from_utf8(opened.map_err(|_| SealError::Damaged)?);
        Ok(Secret::new(text.map_err(|_| SealError::Damaged)?))
    }
}

fn cipher(key: &[u8]) -> Result<Aes256Gcm, SealError> {
    if key.len() != KEY_BYTES {
        return Err(SealError::BadKeys);
    }
    Aes256Gcm::new_from_slice(key).map_err(|_| SealError::BadKeys)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keyring(setting: Option<&str>) -> Result<Keyring, SealError> {
        let signing = SigningKey::new(&Secret::new("0123456789abcdef0123456789abcdef")).unwrap();
        Keyring::new(setting.map(Secret::new).as_ref(), &signing)
    }

    fn key(byte: u8) -> String {
        base64url(&[byte; KEY_BYTES])
    }

    #[test]
    fn a_secret_opens_for_its_own_purpose_alone_and_only_whole() {
        let ring = keyring(None).unwrap();
        let sealed = ring
            .seal("user:ben:openai", &Secret::new("sk-canary"))
            .unwrap();
        assert!(!sealed.text.contains("canary"));
        let open = |purpose: &str, sealed: &Sealed| {
            ring.open(purpose, sealed)
                .map(|secret| secret.expose().to_owned())
        };
        assert_eq!(open("user:ben:openai", &sealed).as_deref(), Ok("sk-canary"));
        assert_eq!(open("user:eve:openai", &sealed), Err(SealError::Damaged));
        for text in ["", "AAAA", "not base64!", &sealed.text[1..]] {
            let damaged = Sealed {
                text: text.to_owned(),
                ..sealed.clone()
            };
            assert_eq!(
                open("user:ben:openai", &damaged),
                Err(SealError::Damaged),
                "{text}"
            );
        }
        let again = ring
            .seal("user:ben:openai", &Secret::new("sk-canary"))
            .unwrap();
        assert_ne!(again.text, sealed.text, "a nonce is used once");
    }

    #[test]
    fn an_older_key_opens_what_it_sealed_and_the_present_one_seals() {
        let first = keyring(None).unwrap();
        let sealed = first.seal("p", &Secret::new("x")).unwrap();
        assert_eq!(sealed.key_id, DERIVED);
        let second = keyring(Some(&format!("a:{}", key(1)))).unwrap();
        assert_eq!(second.present(), "a");
        assert!(second.open("p", &sealed).is_ok());
        let moved = second.seal("p", &Secret::new("x")).unwrap();
        let third = keyring(Some(&format!("b:{}, a:{}", key(2), key(1)))).unwrap();
        assert!(third.open("p", &moved).is_ok());
        let fourth = keyring(Some(&format!("b:{}", key(2)))).unwrap();
        let lost = fourth.open("p", &moved).err();
        assert_eq!(lost, Some(SealError::UnknownKey("a".to_owned())));
        // Another key under the same id.
        let wrong = keyring(Some(&format!("a:{}", key(3)))).unwrap();
        assert_eq!(wrong.open("p", &moved).err(), Some(SealError::Damaged));
    }

    #[test]
    fn keys_that_are_none_are_refused() {
        let good = key(1);
        for bad in [
            "x".to_owned(),
            format!(":{good}"),
            "a:AAAA".to_owned(),
            format!("a:{good},a:{good}"),
            format!("secret:{good}"),
            format!("a b:{good}"),
            format!("a:{good},"),
        ] {
            assert_eq!(keyring(Some(&bad)).err(), Some(SealError::BadKeys), "{bad}");
        }
    }
}
