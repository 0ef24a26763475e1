//! Cookies: reading one from a header, writing one that scripts and other sites do not get.

/// The value of a cookie in a `Cookie` header.
pub fn find<'a>(header: &'a str, name: &str) -> Option<&'a str> {
    header.split(';').find_map(|pair| {
        let (key, value) = pair.trim().split_once('=')?;
        (key == name && !value.is_empty()).then_some(value)
    })
}

/// A `Set-Cookie` value: HttpOnly, SameSite=Lax, for the whole origin, for `max_age` seconds. Secure
/// except on plain http, where a browser would drop it.
pub fn issue(name: &str, value: &str, max_age: u64, secure: bool) -> String {
    let secure = if secure { "; Secure" } else { "" };
    format!("{name}={value}; Path=/; Max-Age={max_age}; HttpOnly; SameSite=Lax{secure}")
}

/// A `Set-Cookie` value that removes the cookie.
pub fn revoke(name: &str, secure: bool) -> String {
    issue(name, "", 0, secure)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_found_by_its_whole_name() {
        let header = "a=1; sam_session=sam_ses_x; xsam_session=no";
        assert_eq!(find(header, "sam_session"), Some("sam_ses_x"));
        assert_eq!(find(header, "session"), None);
        assert_eq!(find("sam_session=", "sam_session"), None);
        assert_eq!(find("", "sam_session"), None);
    }

    #[test]
    fn an_issued_cookie_is_kept_from_scripts() {
        let cookie = issue("sam_session", "v", 60, true);
        for part in [
            "sam_session=v",
            "HttpOnly",
            "SameSite=Lax",
            "Secure",
            "Max-Age=60",
        ] {
            assert!(cookie.contains(part), "{part}");
        }
        assert!(!issue("sam_session", "v", 60, false).contains("Secure"));
        assert!(revoke("sam_session", true).contains("Max-Age=0"));
    }
}
