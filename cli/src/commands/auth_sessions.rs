//! `sam auth sessions` and `sam auth end`: where one is signed in.

use crate::api::{Api, Call};
use crate::context::Context;
use crate::error::{Exit, Failure};
use crate::output::style::Paint;
use crate::output::table::Cell;
use crate::output::time;
use sam_domain::access::route::RouteId;
use sam_domain::access::tokens::{AuthSessionList, AuthSessionView};
use sam_domain::conversation::call::Done;

pub(super) async fn list(context: &Context) -> Result<Exit, Failure> {
    let list = read(&context.api()?).await?;
    let out = &context.out;
    if out.json {
        out.value(&list)?;
        return Ok(Exit::Ok);
    }
    let now = time::now();
    let rows: Vec<Vec<Cell>> = list.sessions.iter().map(|one| row(one, now)).collect();
    let headings = ["SESSION", "WHERE", "MAY", "OPENED", "ENDS", ""];
    out.table(&headings, &rows)?;
    Ok(Exit::Ok)
}

fn row(session: &AuthSessionView, now: sam_domain::time::Timestamp) -> Vec<Cell> {
    let may = session.scopes.as_ref().map(ToString::to_string);
    vec![
        Cell::new(&session.handle).paint(Paint::Strong).whole(),
        Cell::new(&session.client),
        Cell::new(may.as_deref().unwrap_or("everything")),
        Cell::new(time::ago(session.created_at, now)),
        Cell::new(time::until(session.expires_at, now)),
        Cell::new(if session.current { "this one" } else { "" }),
    ]
}

async fn read(api: &Api) -> Result<AuthSessionList, Failure> {
    api.json(Call::new(RouteId::ListAuthSessions, &[])).await
}

/// Ends one session, or with `None` all but the present one.
pub(super) async fn end(context: &Context, session: Option<&str>) -> Result<Exit, Failure> {
    let api = context.api()?;
    let said = match session {
        Some(handle) => {
            let segments = [handle];
            let call = Call::new(RouteId::EndAuthSession, &segments);
            let _: Done = api.json(call).await?;
            "The session is over."
        }
        None => {
            let call = Call::new(RouteId::EndOtherAuthSessions, &[]);
            let _: Done = api.json(call).await?;
            "All your other sessions are over."
        }
    };
    let out = &context.out;
    if out.json {
        out.value(&read(&api).await?)?;
    } else {
        out.line(said)?;
    }
    Ok(Exit::Ok)
}
