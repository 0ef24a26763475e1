//! Signed claims and what carries them.

use proptest::prelude::*;
use sam_domain::access::claims::{Claims, Purpose};
use sam_domain::time::Timestamp;
use sam_fuzz::{bytes, config};
use sam_platform::crypto::{Secret, SigningKey};
use sam_platform::http::cookies;

fn claims(purpose: Purpose) -> Claims {
    Claims {
        purpose,
        usr: "usr_01jd8x00000000000000000000".parse().expect("an id"),
        prj: "prj_01jd8x00000000000000000000".parse().expect("an id"),
        ses: "ses_01jd8x00000000000000000000".parse().expect("an id"),
        tsk: "tsk_01jd8x00000000000000000000".parse().expect("an id"),
        wsp: "wsp_01jd8x00000000000000000000".parse().expect("an id"),
        nod: "nod_01jd8x00000000000000000000".parse().expect("an id"),
        attempt: 1,
        agt: None,
        exp: Timestamp(1000),
    }
}

fn key(text: &str) -> SigningKey {
    SigningKey::new(&Secret::new(text)).expect("a key")
}

fn tokens() -> Vec<Vec<u8>> {
    let sign = |key: &SigningKey, purpose| {
        let token = key.sign_claims(&claims(purpose)).expect("a token");
        token.expose().as_bytes().to_vec()
    };
    let ours = key("0123456789abcdef0123456789abcdef");
    let other = key("0123456789abcdef0123456789abcdeF");
    vec![
        sign(&ours, Purpose::Workspace),
        sign(&ours, Purpose::Model),
        sign(&other, Purpose::Workspace),
    ]
}

proptest! {
    #![proptest_config(config(3000))]

    /// No change makes a token of another, longer or larger scope.
    #[test]
    fn only_what_was_signed_is_good(token in bytes(tokens())) {
        let ours = key("0123456789abcdef0123456789abcdef");
        let text = String::from_utf8_lossy(&token);
        for purpose in [Purpose::Workspace, Purpose::Model] {
            if let Ok(held) = ours.verify_claims(purpose, &text, Timestamp(1)) {
                prop_assert_eq!(held, claims(purpose));
                let as_signed = ours.sign_claims(&claims(purpose)).expect("a token");
                prop_assert_eq!(as_signed.expose(), &text);
            }
            prop_assert!(ours.verify_claims(purpose, &text, Timestamp(1000)).is_err());
        }
    }

    #[test]
    fn a_cookie_is_found_or_not(header in bytes(vec![b"a=1; sam_session=sam_ses_x; b=".to_vec()])) {
        let text = String::from_utf8_lossy(&header);
        if let Some(value) = cookies::find(&text, "sam_session") {
            prop_assert!(!value.is_empty() && !value.contains(';') && text.contains(value));
        }
    }
}
