//! How often somebody may try something: asked of the object that counts it.
//!
//! A try that is not let through is refused with 429 and the time to wait. Where the counting object
//! does not answer the try is refused as well, if there is anything to guess: who guesses must not win
//! by overload.

use sam_domain::error::ApiError;
use sam_domain::id::{Id as _, UserId};
use sam_domain::limit::{LimitName, Taken};
use sam_domain::time::Millis;
use sam_platform::objects;
use std::net::Ipv6Addr;

use crate::call::Call;
use crate::errors::Failed;

/// Counts a try of whoever has the request's address.
pub(crate) async fn by_address(call: &Call, limit: LimitName) -> Result<(), Failed> {
    take(call, limit, &party(address(call).as_deref())).await
}

/// Counts a try of a person.
pub(crate) async fn by_person(call: &Call, limit: LimitName, user: &UserId) -> Result<(), Failed> {
    take(call, limit, user.as_str()).await
}

/// The address that the request came from, as the edge says.
pub(crate) fn address(call: &Call) -> Option<String> {
    call.header("cf-connecting-ip")
}

async fn take(call: &Call, limit: LimitName, who: &str) -> Result<(), Failed> {
    let taken = match objects::rate_limit(&call.env, limit, who) {
        Ok(object) => object.call::<Taken>(&limit).await,
        Err(error) => Err(error),
    };
    match taken {
        Ok(Taken { wait: None }) => Ok(()),
        Ok(Taken { wait: Some(wait) }) => Err(refused(call, wait).into()),
        Err(error) if limit.guards() => Err(error.into()),
        Err(_) => Ok(()),
    }
}

fn refused(call: &Call, wait: Millis) -> ApiError {
    let seconds = wait.0.div_ceil(1000).max(1);
    call.retry_after.set(Some(seconds));
    ApiError::new(429, "too_many_tries", "This was tried too often.")
        .hint(format!("Try again in {seconds} s."))
}

/// Who counts as one party: an address, or all addresses of one network that IPv6 gives to one.
fn party(address: Option<&str>) -> String {
    let Some(address) = address else {
        return "unknown".to_owned();
    };
    match address.parse::<Ipv6Addr>() {
        Ok(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => v4.to_string(),
            None => {
                let [a, b, c, d, ..] = v6.segments();
                format!("{}/64", Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
            }
        },
        // What is no address is somebody's own invention; all of them are one party.
        Err(_) => address
            .parse::<std::net::Ipv4Addr>()
            .map_or_else(|_| "unknown".to_owned(), |v4| v4.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::party;

    #[test]
    fn one_party_is_one_address_or_one_network() {
        for (address, expected) in [
            (Some("192.0.2.7"), "192.0.2.7"),
            (Some("::ffff:192.0.2.7"), "192.0.2.7"),
            (
                Some("2001:db8:1:2:aaaa:bbbb:cccc:dddd"),
                "2001:db8:1:2::/64",
            ),
            (Some("2001:db8:1:2::1"), "2001:db8:1:2::/64"),
            (Some("somebody"), "unknown"),
            (None, "unknown"),
        ] {
            assert_eq!(party(address), expected, "{address:?}");
        }
    }
}
