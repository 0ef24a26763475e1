//! Writing down who changed access to what.
//!
//! A change is written down after it was made; when that fails the request fails, and repeating it
//! is harmless.

use sam_domain::id::{ProjectId, UserId};
use sam_platform::d1::D1;
use sam_platform::d1::audit_log::{AuditLog, Change};

use crate::call::Call;
use crate::errors::Failed;

/// Writes a change of the installation's down.
pub(super) async fn record(
    call: &Call,
    database: &D1,
    actor: &UserId,
    action: &'static str,
    subject: &str,
) -> Result<(), Failed> {
    detailed(call, database, actor, action, subject, None, None).await
}

/// The same with the project it was in and the new value.
pub(super) async fn detailed(
    call: &Call,
    database: &D1,
    actor: &UserId,
    action: &'static str,
    subject: &str,
    project: Option<&ProjectId>,
    detail: Option<&str>,
) -> Result<(), Failed> {
    let change = Change {
        at: call.now,
        actor,
        action,
        subject,
        project,
        detail,
    };
    Ok(AuditLog(database).insert(&change).await?)
}
