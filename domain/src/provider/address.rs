//! Addresses that somebody configured: which of them are called.
//!
//! The text is read by the same rules as the runtime's `fetch` (WHATWG), so that what is checked is
//! what is called: `http://2130706433/`, `http://0x7f.1/` and `http://127.1/` are all loopback here
//! as there. Redirects are not followed.
//!
//! Limit: a name is not resolved. One that resolves to a private address passes, now or later (DNS
//! rebinding); on Cloudflare a Worker reaches no private network, and on one machine the network
//! has to refuse it.

use std::net::{Ipv4Addr, Ipv6Addr};
use url::{Host, Url};

/// Why an address is not called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// It is not a URL with a host.
    #[error("the address is not a URL")]
    NotAUrl,
    /// It carries a name, a password, a query or a fragment.
    #[error("the address carries a user, a query or a fragment")]
    Decorated,
    /// It is not encrypted.
    #[error("the address must use https, except on this machine")]
    NotHttps,
    /// It is on this machine, and who gave it may not name one.
    #[error("only an administrator may name an address on this machine")]
    Loopback,
    /// It is in a private network, link-local, of a metadata service, or no public address at all.
    #[error("the address is not a public one")]
    NotPublic,
}

/// How far the addresses of whoever gives one may reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Public addresses alone.
    Public,
    /// Public addresses and this machine.
    Loopback,
}

/// The address as it is called: without a slash at its end.
///
/// # Errors
/// Why it is not called.
pub fn check(text: &str, reach: Reach) -> Result<String, AddressError> {
    let url = Url::parse(text.trim()).map_err(|_| AddressError::NotAUrl)?;
    let host = url.host().ok_or(AddressError::NotAUrl)?;
    if !url.username().is_empty()
        || url.password().is_some()
        || url.query().is_some()
        || url.fragment().is_some()
    {
        return Err(AddressError::Decorated);
    }
    let place = match &host {
        Host::Ipv4(address) => of_v4(*address),
        Host::Ipv6(address) => of_v6(*address),
        Host::Domain(name) => of_name(name),
    };
    match (place, reach, url.scheme()) {
        (Place::Private, ..) => return Err(AddressError::NotPublic),
        (Place::Loopback, Reach::Public, _) => return Err(AddressError::Loopback),
        (Place::Loopback, Reach::Loopback, "http" | "https") | (Place::Public, _, "https") => {}
        _ => return Err(AddressError::NotHttps),
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Public,
    Loopback,
    Private,
}

/// Names that lead to nobody outside: of this machine, of a network, of a cloud's metadata.
fn of_name(name: &str) -> Place {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    let is_in = |zone: &str| {
        name.strip_suffix(zone)
            .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    };
    if is_in("localhost") {
        return Place::Loopback;
    }
    let private = [
        "internal",
        "local",
        "localdomain",
        "lan",
        "intranet",
        "home.arpa",
        "corp",
        "private",
    ];
    if !name.contains('.') || private.iter().any(|zone| is_in(zone)) {
        return Place::Private;
    }
    Place::Public
}

fn of_v4(address: Ipv4Addr) -> Place {
    if address.is_loopback() {
        return Place::Loopback;
    }
    let private = match address.octets() {
        [0 | 10, ..]
        | [100, 64..=127, ..]
        | [169, 254, ..]
        | [172, 16..=31, ..]
        | [192, 0, 0 | 2, _]
        | [192, 88, 99, _]
        | [192, 168, ..]
        | [198, 18 | 19, ..]
        | [198, 51, 100, _]
        | [203, 0, 113, _]
        // Azure's metadata lie in a public range.
        | [168, 63, 129, 16]
        | [224..=255, ..] => true,
        _ => false,
    };
    if private {
        Place::Private
    } else {
        Place::Public
    }
}

/// Only global unicast is public, and of that not what carries an IPv4 address: a translator could
/// lead it anywhere.
fn of_v6(address: Ipv6Addr) -> Place {
    if address.is_loopback() {
        return Place::Loopback;
    }
    if let Some(mapped) = address.to_ipv4_mapped() {
        return match of_v4(mapped) {
            Place::Loopback => Place::Loopback,
            Place::Public | Place::Private => Place::Private,
        };
    }
    match address.segments() {
        // Teredo, benchmarks, ORCHID, documentation, 6to4.
        [0x2001, 0..=0x01ff | 0x0db8, ..] | [0x2002, ..] | [0x3fff, 0..=0x0fff, ..] => {
            Place::Private
        }
        [0x2000..=0x3fff, ..] => Place::Public,
        _ => Place::Private,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn public_addresses_over_https_are_called() {
        for (text, called) in [
            ("https://api.example.com/v1/", "https://api.example.com/v1"),
            (" https://API.example.com ", "https://api.example.com"),
            ("https://8.8.8.8:8443/v1", "https://8.8.8.8:8443/v1"),
            (
                "https://[2606:4700::1111]/v1",
                "https://[2606:4700::1111]/v1",
            ),
            (
                "https://internal.example.com/v1",
                "https://internal.example.com/v1",
            ),
        ] {
            assert_eq!(check(text, Reach::Public).as_deref(), Ok(called), "{text}");
        }
    }

    #[test]
    fn this_machine_is_for_administrators() {
        for text in [
            "http://127.0.0.1:8080/v1",
            "http://localhost:8080/v1",
            "http://a.localhost./v1",
            "https://127.255.0.1/v1",
            "http://[::1]:1/v1",
            // The same machine in other words.
            "http://2130706433/v1",
            "http://0x7f000001/v1",
            "http://0177.0.0.1/v1",
            "http://127.1/v1",
            "http://%31%32%37.1/v1",
            "http://[::ffff:127.0.0.1]/v1",
        ] {
            assert!(check(text, Reach::Loopback).is_ok(), "{text}");
            assert_eq!(
                check(text, Reach::Public),
                Err(AddressError::Loopback),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_not_public_is_never_called_in_any_notation() {
        for text in [
            "https://10.0.0.1/",
            "https://0.0.0.0/",
            "https://0/",
            "https://100.64.0.1/",
            "https://169.254.169.254/latest",
            "https://172.16.0.1/",
            "https://172.31.255.255/",
            "https://192.168.1.1/",
            "https://198.18.0.1/",
            "https://224.0.0.1/",
            "https://255.255.255.255/",
            // 169.254.169.254 and 10.0.0.1 in other words.
            "https://2852039166/",
            "https://0xa9fea9fe/",
            "https://0251.0376.0251.0376/",
            "https://169.254.43518/",
            "https://10.1/",
            "https://012.0.0.1/",
            "https://0x0a.0.0.1/",
            "https://[::ffff:169.254.169.254]/",
            "https://[::ffff:a9fe:a9fe]/",
            "https://[::ffff:8.8.8.8]/",
            "https://[::a9fe:a9fe]/",
            "https://[64:ff9b::a9fe:a9fe]/",
            "https://[64:ff9b:1::a00:1]/",
            "https://[2002:a9fe:a9fe::1]/",
            "https://[2001:0:a00:1::]/",
            "https://[fe80::1]/",
            "https://[fec0::1]/",
            "https://[fd00:ec2::254]/",
            "https://[fc00::1]/",
            "https://[ff02::1]/",
            "https://[::]/",
            "https://metadata.google.internal/",
            "https://metadata/",
            "https://METADATA.google.internal./",
            "https://printer.local/",
            "https://router/",
            "https://168.63.129.16/",
        ] {
            for reach in [Reach::Public, Reach::Loopback] {
                assert_eq!(check(text, reach), Err(AddressError::NotPublic), "{text}");
            }
        }
    }

    #[test]
    fn what_is_no_plain_address_is_refused() {
        for (text, why) in [
            ("", AddressError::NotAUrl),
            ("example.com/v1", AddressError::NotAUrl),
            ("https://", AddressError::NotAUrl),
            ("data:text/plain,x", AddressError::NotAUrl),
            ("https://256.256.256.256/", AddressError::NotAUrl),
            // 127.1 in wide digits: what needs tables was the runtime's to put into plain words.
            (
                "https://\u{ff11}\u{ff12}\u{ff17}.1/v1",
                AddressError::NotAUrl,
            ),
            ("http://example.com/v1", AddressError::NotHttps),
            ("ftp://example.com/v1", AddressError::NotHttps),
            ("ws://localhost/v1", AddressError::NotHttps),
            ("https://user@example.com/v1", AddressError::Decorated),
            ("https://127.0.0.1@example.com/", AddressError::Decorated),
            ("https://example.com/v1?a=b", AddressError::Decorated),
            ("https://example.com/v1#x", AddressError::Decorated),
        ] {
            assert_eq!(check(text, Reach::Loopback), Err(why), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_notation_of_a_private_address_passes(address: u32, form in 0u8..6) {
            let octets = Ipv4Addr::from(address);
            let [a, b, c, d] = octets.octets();
            let host = match form {
                0 => octets.to_string(),
                1 => address.to_string(),
                2 => format!("{address:#x}"),
                3 => format!("0{a:o}.0{b:o}.0{c:o}.0{d:o}"),
                4 => format!("{a}.{}", address & 0x00ff_ffff),
                _ => format!("[::ffff:{octets}]"),
            };
            let passed = check(&format!("https://{host}/v1"), Reach::Public).is_ok();
            prop_assert_eq!(passed, form != 5 && of_v4(octets) == Place::Public);
        }

        #[test]
        fn what_passes_is_read_the_same_again(text in "\\PC{0,40}") {
            if let Ok(called) = check(&format!("https://{text}"), Reach::Public) {
                prop_assert_eq!(check(&called, Reach::Public), Ok(called.clone()));
            }
        }
    }
}
