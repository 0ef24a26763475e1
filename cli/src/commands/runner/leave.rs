//! `sam runner unregister`: leaving without a trace.

use super::place::Here;
use super::{record, systemd};
use crate::api::Call;
use crate::context::Context;
use crate::error::{Exit, Failure};
use crate::output::note;
use sam_domain::access::route::RouteId;
use sam_domain::id::{Id, NodeId};
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long the vm-agent may take to end after it was turned away.
const ENDS_WITHIN: Duration = Duration::from_secs(60);
/// How often it is looked whether it has.
const PAUSE: Duration = Duration::from_millis(100);

pub(super) async fn run(
    context: &Context,
    here: &Here,
    force: bool,
    keep_service: bool,
) -> Result<Exit, Failure> {
    let record = record::read(here)?;
    let has_unit = here.unit().exists();
    if record.is_none() && !has_unit && !here.agent_state().exists() {
        return Err(Failure::NotFound {
            message: "This machine has not joined.".to_owned(),
            hint: Some("A runner of another profile or place is named by --profile, --system or --state-dir.".to_owned()),
        });
    }
    if let Some(record) = &record {
        tell_server(context, &record.url, &record.node, force).await?;
    }
    if has_unit {
        let service = here.service();
        systemd::tell(here, &["disable", "--now", &service]).await?;
        if !keep_service {
            gone(&here.unit(), fs::remove_file(here.unit()))?;
            systemd::tell(here, &["daemon-reload"]).await?;
        }
    }
    until_ended(&here.agent_state()).await?;
    gone(&here.agent_state(), fs::remove_dir_all(here.agent_state()))?;
    record::remove(here)?;
    // Whatever else lies in the folder is not ours.
    let _ = fs::remove_dir(&here.state);
    let out = &context.out;
    let node = record.map(|record| record.node);
    if out.json {
        out.value(&serde_json::json!({ "node": node, "left": true }))?;
    } else {
        out.line(&match node {
            Some(node) => format!("This machine is {} no more.", node.short()),
            None => "Removed what was left here.".to_owned(),
        })?;
    }
    Ok(Exit::Ok)
}

async fn tell_server(
    context: &Context,
    joined: &str,
    node: &NodeId,
    force: bool,
) -> Result<(), Failure> {
    let (api, url, _) = context.signed_in()?;
    if joined != url.as_str() {
        return Err(Failure::usage(
            format!("This machine has joined {joined}, not {url}."),
            "Choose that server with --profile or SAM_API_URL.",
        ));
    }
    let segments = [node.as_str()];
    let mut call = Call::new(RouteId::RemoveNode, &segments);
    if force {
        call = call.query("force", "true");
    }
    match api.text(call).await {
        Ok(_) => Ok(()),
        Err(failure) if failure.exit() == Exit::NotFound => {
            note("The server had forgotten it already.");
            Ok(())
        }
        Err(failure) if force && failure.exit() == Exit::Unreachable => {
            note(&format!("The server could not be told: {failure}"));
            Ok(())
        }
        Err(failure) => Err(failure),
    }
}

/// Waits until no vm-agent holds the state directory. One in the foreground was
/// turned away by the server and ends by itself.
async fn until_ended(state: &Path) -> Result<(), Failure> {
    let Ok(lock) = File::open(state.join("lock")) else {
        return Ok(());
    };
    let begun = Instant::now();
    loop {
        match lock.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) if begun.elapsed() < ENDS_WITHIN => {
                tokio::time::sleep(PAUSE).await;
            }
            Err(TryLockError::WouldBlock) => {
                return Err(Failure::not_ready(
                    "A vm-agent still works on this machine's state.",
                    "End it, then leave again.",
                ));
            }
            Err(TryLockError::Error(error)) => {
                return Err(Failure::local("Could not look at the state", &error));
            }
        }
    }
}

/// Takes a removal's outcome; that nothing was there is no failure.
pub(super) fn gone(path: &Path, removed: io::Result<()>) -> Result<(), Failure> {
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Failure::local(
            &format!("Could not remove {}", path.display()),
            &error,
        )),
        _ => Ok(()),
    }
}
