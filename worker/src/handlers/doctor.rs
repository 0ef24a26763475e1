//! Looking an installation over: what it is bound to, what it is set to, and whether that has its
//! effect. Every check asks the real thing and changes nothing there; one that fails hides no other.

use futures::join;
use sam_domain::access::doctor::{Check, Diagnosis, Health};
use sam_domain::device::call::DeviceCall;
use sam_domain::device::code::UserCode;
use sam_domain::device::wire::DeviceView;
use sam_domain::id::{Id as _, ProjectId};
use sam_platform::bindings;
use sam_platform::crypto::sha256_hex;
use sam_platform::d1::installation::Installation;
use sam_platform::http;
use sam_platform::kv::Cache;
use sam_platform::objects::{self, CallError};
use sam_platform::r2::{Bodies, BodyName};
use url::{Host, Url};

use super::{github, model_doctor};
use crate::call::Call;
use crate::errors::{Answer, Failed};
use crate::limits;
use crate::principal::Admin;

/// What to do where the runtime has no such thing.
const BIND: &str = "Deploy with the repository's wrangler.toml, which binds it.";

pub(crate) async fn examine(call: &Call, admin: Admin) -> Answer {
    let (database, cache, bodies, objects, models, github) = join!(
        database(call),
        cache(call),
        bodies(call),
        device_objects(call),
        model_doctor::checks(call, &admin),
        github::check(call),
    );
    let mut checks = vec![
        database,
        cache,
        bodies,
        objects,
        address(call),
        sender(call),
    ];
    match models {
        Ok(models) => checks.extend(models),
        Err(Failed(error)) => checks.push(Check::not(
            "model",
            Health::Failed,
            error.message,
            "Mend what else is wrong first: models and keys are in the database.",
        )),
    }
    checks.push(github);
    Ok(http::json(200, &Diagnosis { checks }))
}

async fn database(call: &Call) -> Check {
    let name = "database";
    let Ok(database) = call.database() else {
        return Check::not(name, Health::Failed, "D1 is not bound as DB.", BIND);
    };
    match Installation(&database).claim().await {
        Ok(_) => Check::ok(name, "D1 answers."),
        Err(_) => Check::not(
            name,
            Health::Failed,
            "D1 does not answer, or lacks a table.",
            "Apply the migrations: wrangler d1 migrations apply sam --remote",
        ),
    }
}

async fn cache(call: &Call) -> Check {
    let name = "cache";
    let read = match Cache::of(&call.env) {
        Ok(cache) => cache.get::<String>("doctor").await.map(|_| ()),
        Err(error) => Err(error),
    };
    match read {
        Ok(()) => Check::ok(name, "KV answers."),
        Err(_) => Check::not(
            name,
            Health::Failed,
            "KV is not bound as CACHE, or fails.",
            BIND,
        ),
    }
}

async fn bodies(call: &Call) -> Check {
    let name = "bodies";
    let failed = || {
        Check::not(
            name,
            Health::Failed,
            "R2 is not bound as BODIES, or fails.",
            BIND,
        )
    };
    let project = ProjectId::mint(call.now, 0);
    let (Ok(bodies), Ok(body)) = (
        Bodies::of(&call.env, &project),
        BodyName::parse(&sha256_hex(b"doctor")),
    ) else {
        return failed();
    };
    match bodies.exists(&body).await {
        Ok(_) => Check::ok(name, "R2 answers."),
        Err(_) => failed(),
    }
}

/// An object that nothing was ever written to answers that there is nothing.
async fn device_objects(call: &Call) -> Check {
    let name = "objects";
    let code = UserCode::draw(0);
    let looked = match objects::device_flow(&call.env, &code) {
        Ok(object) => object.call::<DeviceView>(&DeviceCall::Look).await,
        Err(error) => Err(error),
    };
    match looked {
        Ok(_) | Err(CallError::Refused(_)) => Check::ok(name, "Durable Objects answer."),
        Err(CallError::Unavailable(_)) => {
            Check::not(name, Health::Failed, "Durable Objects do not answer.", BIND)
        }
    }
}

fn is_here(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

fn address(call: &Call) -> Check {
    let name = "address";
    let asked = call.url.origin().ascii_serialization();
    if let Some(text) = bindings::url_setting(&call.env, bindings::SAM_PUBLIC_URL) {
        let set = Url::parse(&text).map(|url| url.origin().ascii_serialization());
        if set != Ok(asked.clone()) {
            return Check::not(
                name,
                Health::Warning,
                format!("SAM_PUBLIC_URL is {text}, and this was asked at {asked}."),
                "Sign-in links name SAM_PUBLIC_URL. Set it to where people reach this installation.",
            );
        }
    }
    if call.url.scheme() != "https" && !is_here(&call.url) {
        return Check::not(
            name,
            Health::Warning,
            format!("{asked} is not encrypted: whoever is on the way can read sessions."),
            "Put TLS in front of it and set SAM_PUBLIC_URL to the https address.",
        );
    }
    Check::ok(name, format!("People reach this installation at {asked}."))
}

fn sender(call: &Call) -> Check {
    let name = "limits";
    match limits::address(call) {
        Some(_) => Check::ok(name, "Tries are counted by the sender's address."),
        None => Check::not(
            name,
            Health::Warning,
            "Nothing says which address a request comes from, so all count as one.",
            "Let what is in front of this set the header CF-Connecting-IP, and nobody else.",
        ),
    }
}
