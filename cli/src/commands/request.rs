//! `sam api`: any route, by method and path.
//!
//! The token goes to the server that it belongs to and nowhere else: a path cannot name another host,
//! and no header can replace it.

use crate::args::tools::Request;
use crate::context::Context;
use crate::error::{Exit, Failure};
use crate::output::text;
use crate::secret::{Secret, scrub};
use reqwest::Method;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue};
use std::io::Read as _;

pub(super) async fn run(context: &Context, asked: Request) -> Result<Exit, Failure> {
    if !asked.path.starts_with('/') {
        return Err(Failure::usage(
            "This is not a path of the server.",
            "Give it like /api/projects; the server's address is added.",
        ));
    }
    let method = asked.method.to_ascii_uppercase();
    let method = Method::from_bytes(method.as_bytes()).map_err(|_| {
        Failure::usage("This is no method.", "Use GET, POST, PUT, PATCH or DELETE.")
    })?;
    let mut headers = HeaderMap::new();
    for given in &asked.header {
        let (name, value) = header(given)?;
        headers.append(name, value);
    }
    let body = asked.data.as_ref().map(body).transpose()?;
    if body.is_some() && !headers.contains_key(CONTENT_TYPE) {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    let api = context.api()?;
    let mut answer = api.free(method, &asked.path, headers, body).await?;
    let out = &context.out;
    if asked.include {
        let mut head = format!("HTTP/1.1 {}\n", answer.status());
        for (name, value) in answer.headers() {
            let value = String::from_utf8_lossy(value.as_bytes());
            head.push_str(&format!("{name}: {}\n", text::clean_line(&scrub(&value))));
        }
        out.raw(&format!("{head}\n"))?;
    }
    if !answer.status().is_success() {
        return Err(api.failure(answer).await);
    }
    let mut shown = Vec::new();
    while let Some(chunk) = api.chunk(&mut answer).await? {
        // A terminal shows text alone; what is passed on stays as it is.
        if out.columns.is_some() {
            shown.extend_from_slice(chunk.as_ref());
        } else {
            out.bytes(chunk.as_ref())?;
        }
    }
    if out.columns.is_some() {
        let text = text::clean(&String::from_utf8_lossy(&shown));
        out.line(text.trim_end_matches('\n'))?;
    }
    Ok(Exit::Ok)
}

fn header(given: &Secret) -> Result<(HeaderName, HeaderValue), Failure> {
    let wrong = |why: &str| Failure::usage(why, "Give headers like `-H 'Accept: text/csv'`.");
    let (name, value) = given
        .expose()
        .split_once(':')
        .ok_or_else(|| wrong("A header has a name, a colon and a value."))?;
    let name: HeaderName = name
        .trim()
        .parse()
        .map_err(|_| wrong("A header's name cannot be used."))?;
    if name == HOST {
        return Err(Failure::usage(
            "The host is the server that you are signed in to.",
            "To ask another one, set SAM_API_URL and SAM_API_TOKEN.",
        ));
    }
    if name == AUTHORIZATION {
        return Err(Failure::usage(
            "The token that is sent is the one you are signed in with.",
            "To use another one, set SAM_API_TOKEN.",
        ));
    }
    let value = value
        .trim()
        .parse()
        .map_err(|_| wrong("A header's value cannot be used."))?;
    Ok((name, value))
}

fn body(given: &Secret) -> Result<Vec<u8>, Failure> {
    match given.expose() {
        "-" => {
            let mut bytes = Vec::new();
            std::io::stdin()
                .lock()
                .read_to_end(&mut bytes)
                .map_err(|error| Failure::local("Could not read stdin", &error))?;
            Ok(bytes)
        }
        text => match text.strip_prefix('@') {
            Some(path) => std::fs::read(path)
                .map_err(|error| Failure::local(&format!("Could not read {path}"), &error)),
            None => Ok(text.as_bytes().to_vec()),
        },
    }
}
