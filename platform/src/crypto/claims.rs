//! Signed claims: `<prefix><base64url(JSON)>.<base64url(MAC)>`, checked without a read.

use sam_domain::access::claims::{Claims, Purpose};
use sam_domain::time::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Secret, SigningKey, base64url, from_base64url};

/// Claims that end by themselves.
pub trait Expiring {
    /// The moment from which they no longer hold.
    fn expires_at(&self) -> Timestamp;
}

impl Expiring for Claims {
    fn expires_at(&self) -> Timestamp {
        self.exp
    }
}

impl SigningKey {
    /// A workspace or model token for the scope of these claims.
    pub fn sign_claims(&self, claims: &Claims) -> Result<Secret, ClaimsError> {
        self.sign(claims.purpose.prefix(), claims)
    }

    /// The claims of a token that serves `purpose`.
    pub fn verify_claims(
        &self,
        purpose: Purpose,
        token: &str,
        now: Timestamp,
    ) -> Result<Claims, ClaimsError> {
        let claims: Claims = self.verify(purpose.prefix(), token, now)?;
        if claims.purpose == purpose {
            Ok(claims)
        } else {
            Err(ClaimsError::Invalid)
        }
    }
}

/// Why a signed token does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ClaimsError {
    /// It is not of this kind, is malformed, or was signed by somebody else. Which of them is
    /// nobody's business.
    #[error("the token is not valid")]
    Invalid,
    /// It was valid and has expired.
    #[error("the token has expired")]
    Expired,
    /// The claims have no JSON form.
    #[error("the claims cannot be written")]
    Unwritable,
}

impl SigningKey {
    /// Signs claims as a token of the kind `prefix` (`sam_wsp_`).
    pub fn sign<C: Serialize + Expiring>(
        &self,
        prefix: &str,
        claims: &C,
    ) -> Result<Secret, ClaimsError> {
        let payload = serde_json::to_vec(claims).map_err(|_| ClaimsError::Unwritable)?;
        let payload = base64url(&payload);
        let code = base64url(&self.authenticate(prefix, payload.as_bytes()));
        Ok(Secret::new(format!("{prefix}{payload}.{code}")))
    }

    /// The claims of a token of the kind `prefix`, if it was signed by this key and still holds.
    /// The MAC is checked before anything of the token is parsed.
    pub fn verify<C: DeserializeOwned + Expiring>(
        &self,
        prefix: &str,
        token: &str,
        now: Timestamp,
    ) -> Result<C, ClaimsError> {
        let (payload, code) = token
            .strip_prefix(prefix)
            .and_then(|rest| rest.split_once('.'))
            .ok_or(ClaimsError::Invalid)?;
        let code = from_base64url(code).ok_or(ClaimsError::Invalid)?;
        if !self.verify_code(prefix, payload.as_bytes(), &code) {
            return Err(ClaimsError::Invalid);
        }
        let payload = from_base64url(payload).ok_or(ClaimsError::Invalid)?;
        let claims: C = crate::http::parse_json(&payload).map_err(|_| ClaimsError::Invalid)?;
        if claims.expires_at() <= now {
            return Err(ClaimsError::Expired);
        }
        Ok(claims)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Serialize, Deserialize, PartialEq)]
    struct Scope {
        wsp: String,
        exp: u64,
    }

    impl Expiring for Scope {
        fn expires_at(&self) -> Timestamp {
            Timestamp(self.exp)
        }
    }

    fn key() -> SigningKey {
        SigningKey::new(&Secret::new("0123456789abcdef0123456789abcdef")).unwrap()
    }

    fn scope() -> Scope {
        Scope {
            wsp: "wsp_1".into(),
            exp: 1_000,
        }
    }

    #[test]
    fn what_was_signed_is_read_back_until_it_expires() {
        let token = key().sign("sam_wsp_", &scope()).unwrap();
        let read = |now| key().verify::<Scope>("sam_wsp_", token.expose(), Timestamp(now));
        assert_eq!(read(999), Ok(scope()));
        assert_eq!(read(1_000), Err(ClaimsError::Expired));
    }

    #[test]
    fn another_kind_another_key_or_another_byte_is_invalid() {
        let token = key().sign("sam_wsp_", &scope()).unwrap();
        let token = token.expose();
        let now = Timestamp(0);
        let as_model = token.replacen("sam_wsp_", "sam_mdl_", 1);
        let mut changed = token.to_owned();
        changed.replace_range(9..10, if &token[9..10] == "A" { "B" } else { "A" });
        let other = SigningKey::new(&Secret::new("fedcba9876543210fedcba9876543210")).unwrap();
        assert_eq!(
            key().verify::<Scope>("sam_mdl_", &as_model, now),
            Err(ClaimsError::Invalid)
        );
        for text in [
            changed.as_str(),
            "",
            "sam_wsp_",
            "sam_wsp_.",
            "sam_wsp_a.b",
            "x.y",
        ] {
            assert_eq!(
                key().verify::<Scope>("sam_wsp_", text, now),
                Err(ClaimsError::Invalid),
                "{text}"
            );
        }
        assert_eq!(
            other.verify::<Scope>("sam_wsp_", token, now),
            Err(ClaimsError::Invalid)
        );
    }
}
