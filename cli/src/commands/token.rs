//! `sam token …`: API tokens, for scripts.

use crate::api::{Api, Call};
use crate::args::Token;
use crate::context::Context;
use crate::error::{Exit, Failure};
use crate::output::style::Paint;
use crate::output::table::Cell;
use crate::output::{text, time};
use crate::resolve;
use sam_domain::access::route::RouteId;
use sam_domain::access::tokens::{ApiTokenList, CreateApiToken, CreatedApiToken};
use sam_domain::conversation::call::Done;
use sam_domain::id::Id;

pub(super) async fn run(context: &Context, command: Token) -> Result<Exit, Failure> {
    let api = context.api()?;
    match command {
        Token::Create {
            name,
            scope,
            expires_in_days,
        } => {
            let body = CreateApiToken {
                name,
                scopes: (!scope.is_empty()).then(|| scope.into_iter().collect()),
                expires_in_days,
            };
            create(context, &api, &body).await
        }
        Token::List => list(context, &api).await,
        Token::Revoke { token } => revoke(context, &api, token.as_deref()).await,
    }
}

async fn create(context: &Context, api: &Api, body: &CreateApiToken) -> Result<Exit, Failure> {
    let call = Call::new(RouteId::CreateApiToken, &[]).body(body)?;
    let made: CreatedApiToken = api.json(call).await?;
    let out = &context.out;
    if out.json {
        out.value(&made)?;
    } else {
        out.line(
            &out.style
                .paint(Paint::Strong, &text::clean_line(&made.token)),
        )?;
        out.hint(&format!(
            "It is shown this once. It may: {}.\n\
             Use it as SAM_API_TOKEN beside SAM_API_URL; take it back with sam token revoke {}.",
            made.view.scopes,
            made.view.id.short()
        ));
    }
    Ok(Exit::Ok)
}

async fn list(context: &Context, api: &Api) -> Result<Exit, Failure> {
    let list: ApiTokenList = api.json(Call::new(RouteId::ListApiTokens, &[])).await?;
    let out = &context.out;
    if out.json {
        out.value(&list)?;
        return Ok(Exit::Ok);
    }
    if list.tokens.is_empty() {
        out.hint("You have no API token. Make one: sam token create --name <what for>");
        return Ok(Exit::Ok);
    }
    let now = time::now();
    let rows: Vec<Vec<Cell>> = list
        .tokens
        .iter()
        .map(|token| {
            let ends = token.expires_at.map(|at| time::until(at, now));
            let used = token.last_used_at.map(|at| time::ago(at, now));
            vec![
                Cell::new(token.id.short()).paint(Paint::Strong),
                Cell::new(&token.name),
                Cell::new(token.scopes.to_string()),
                Cell::new(used.as_deref().unwrap_or("never")),
                Cell::new(ends.as_deref().unwrap_or("never")),
            ]
        })
        .collect();
    let headings = ["ID", "NAME", "SCOPES", "USED", "ENDS"];
    out.table(&headings, &rows)?;
    Ok(Exit::Ok)
}

async fn revoke(context: &Context, api: &Api, named: Option<&str>) -> Result<Exit, Failure> {
    let list: ApiTokenList = api.json(Call::new(RouteId::ListApiTokens, &[])).await?;
    let token = resolve::named_or_chosen(context, named, "API token", list.tokens, |token| {
        (&token.name, &token.id)
    })?;
    let segments = [token.id.as_str()];
    let _: Done = api
        .json(Call::new(RouteId::RevokeApiToken, &segments))
        .await?;
    let out = &context.out;
    if out.json {
        out.value(&token)?;
    } else {
        out.line(&format!(
            "{} opens nothing any more.",
            text::clean_line(&token.name)
        ))?;
    }
    Ok(Exit::Ok)
}
