//! What a model call may use, reserved before it is made.
//!
//! The person's budget is asked first, then the project's; a refusal of the second gives back what
//! the first reserved. Where nothing is limited nothing is reserved, the request is not touched,
//! and the answer is remembered for a few seconds, so that a busy agent is not held up for each of
//! its calls. A limit therefore binds the calls that begin after it was set, and in another isolate
//! those that begin [`MEMORY`] later.
//!
//! Invariant: a call that is let through under a limit names an output limit, and can use no more
//! than it has reserved.

use std::cell::RefCell;
use std::collections::HashMap;

use futures::future::join;
use sam_dialects::scan::{InputScan, RequestScan, ScanError};
use sam_dialects::{ApiError as Told, Dialect};
use sam_domain::access::claims::Claims;
use sam_domain::budget::Charge;
use sam_domain::budget::call::{BudgetCall, CallScope, Reserved};
use sam_domain::budget::ledger::Warning;
use sam_domain::budget::refusal::{Clears, HolderKind, LimitName, Refusal};
use sam_domain::catalogue::model::Model;
use sam_domain::catalogue::price::Request;
use sam_domain::conversation::call::Done;
use sam_domain::error::ApiError;
use sam_domain::id::{Id as _, RequestId};
use sam_domain::time::{Millis, Timestamp};
use sam_platform::http;
use sam_platform::objects::{self, CallError};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use worker::{Env, Response};

use crate::call::Call;
use crate::errors::{Failed, log};

/// How long it is remembered that nothing is limited.
const MEMORY: Millis = Millis::seconds(5);
/// Most holders that are remembered.
const REMEMBERED: usize = 1_000;
/// Waits longer than this are not for a client's own retries.
const PATIENCE: Millis = Millis::minutes(1);

thread_local! {
    /// Until when a holder is remembered to have no limits.
    static UNLIMITED: RefCell<HashMap<String, Timestamp>> = RefCell::default();
}

fn is_unlimited(holder: &str, own_key: bool, now: Timestamp) -> bool {
    let holds = |known: &HashMap<String, Timestamp>, name: &str| {
        known.get(name).is_some_and(|until| now < *until)
    };
    UNLIMITED.with_borrow(|known| {
        holds(known, holder) || (own_key && holds(known, &with_own_key(holder)))
    })
}

/// The name under which a holder's calls with a key of their own are remembered: the cost that an
/// administrator allows does not limit those.
fn with_own_key(holder: &str) -> String {
    format!("{holder} with a key of their own")
}

/// Whether anything is limited for a holder, as its budget just said.
pub(super) fn remember(holder: &str, limited: bool, now: Timestamp) {
    if limited {
        return forget(holder);
    }
    UNLIMITED.with_borrow_mut(|known| {
        if known.len() >= REMEMBERED {
            known.clear();
        }
        known.insert(holder.to_owned(), now.plus(MEMORY));
    });
}

/// A holder's limits were changed.
pub(crate) fn forget(holder: &str) {
    UNLIMITED.with_borrow_mut(|known| {
        known.remove(holder);
        known.remove(&with_own_key(holder));
    });
}

/// A model call that may be made.
pub(super) struct Admission {
    scope: CallScope,
    /// Which budgets have something reserved for it: the person's, the project's.
    held: [bool; 2],
    /// How much.
    charge: Charge,
    /// Limits that are nearly used up and that nobody was told of yet.
    warnings: Vec<Warning>,
}

impl Admission {
    /// What the call is for.
    pub(super) fn scope(&self) -> &CallScope {
        &self.scope
    }

    /// The header that tells of limits that have come near.
    pub(super) fn header(&self) -> Option<String> {
        let told = self.warnings.iter().map(|warning| {
            let (spent, allowed) = (warning.spent, warning.allowed);
            format!("{}; spent={spent}; limit={allowed}", warning.limit.word())
        });
        let told: Vec<String> = told.collect();
        (!told.is_empty()).then(|| told.join(", "))
    }

    /// What is reserved, and has to be renewed.
    pub(super) fn reserved(&self) -> Option<Charge> {
        self.held.contains(&true).then_some(self.charge)
    }
}

/// A call that is about to be made.
pub(super) struct Wanted<'a> {
    /// On whose behalf.
    pub(super) claims: &'a Claims,
    /// How the client speaks.
    pub(super) client: Dialect,
    /// How the body speaks, which goes to the upstream.
    pub(super) dialect: Dialect,
    /// The model.
    pub(super) model: &'a Model,
    /// Whether a key of the person's or the project's own pays.
    pub(super) own_key: bool,
}

/// Reserves what a call may use, and caps the request to it. The inner error is the refusal, as the
/// client's dialect has it.
pub(super) async fn admit(
    call: &Call,
    wanted: &Wanted<'_>,
    body: &mut Vec<u8>,
) -> Result<Result<Admission, Response>, Failed> {
    let claims = wanted.claims;
    let scope = CallScope {
        user: claims.usr.clone(),
        project: claims.prj.clone(),
        session: claims.ses.clone(),
        task: claims.tsk.clone(),
        attempt: claims.attempt,
        model: wanted.model.id.to_string(),
        own_key: wanted.own_key,
    };
    let reserved = reserve(call, scope, wanted.dialect, wanted.model, body).await?;
    Ok(reserved.map_err(|refusal| refuse(call, wanted, &refusal)))
}

/// Reserves what a call may use, and caps the request, which speaks so, to it.
pub(super) async fn reserve(
    call: &Call,
    scope: CallScope,
    dialect: Dialect,
    model: &Model,
    body: &mut Vec<u8>,
) -> Result<Result<Admission, Refusal>, Failed> {
    let (user, project) = (scope.user.clone(), scope.project.clone());
    let own_key = scope.own_key;
    let mut admission = Admission {
        scope,
        held: [false, false],
        charge: Charge::default(),
        warnings: Vec::new(),
    };
    let holders = [
        (HolderKind::Person, user.as_str()),
        (HolderKind::Project, project.as_str()),
    ];
    if holders
        .iter()
        .all(|(_, holder)| is_unlimited(holder, own_key, call.now))
    {
        return Ok(Ok(admission));
    }
    let scan = RequestScan::read(body).map_err(unreadable)?;
    let worst = Worst::of(&scan, body, dialect, model)?;
    admission.charge = worst.charge;
    for (held, (kind, holder)) in admission.held.iter_mut().zip(holders) {
        let reserve = BudgetCall::Reserve {
            holder: kind,
            request: call.id.clone(),
            scope: admission.scope.clone(),
            charge: worst.charge,
        };
        // A call whose reservation is not known is not made; what it may have reserved expires.
        match ask::<Reserved>(&call.env, holder, &reserve).await? {
            Reserved::Unlimited if own_key => {
                remember(&with_own_key(holder), false, call.now);
            }
            Reserved::Unlimited => remember(holder, false, call.now),
            Reserved::Granted { warnings } => {
                *held = true;
                for warning in warnings {
                    super::telling::near(call, &admission.scope.task, kind, warning);
                    admission.warnings.push(warning);
                }
            }
            Reserved::Refused(refusal) => {
                if admission.held == [true, false] {
                    give_back(call, user.as_str());
                }
                return Ok(Err(refusal));
            }
        }
    }
    if admission.reserved().is_some() && !worst.edits.is_empty() {
        *body = scan.with(&worst.edits).map_err(unreadable)?;
    }
    Ok(Ok(admission))
}

/// The most that a request can use.
struct Worst {
    charge: Charge,
    /// What makes the request name the limit of output that was reserved.
    edits: Vec<(&'static str, Value)>,
}

impl Worst {
    fn of(
        scan: &RequestScan<'_>,
        body: &[u8],
        dialect: Dialect,
        model: &Model,
    ) -> Result<Self, ApiError> {
        let unpriced = || {
            ApiError::new(
                422,
                "model_without_prices",
                "Nobody has said what the model takes and costs, so no budget can cover it.",
            )
            .hint("An administrator can say it: `sam admin model set`.")
        };
        let limits = model.limits.ok_or_else(unpriced)?;
        let facts = scan.facts(dialect).map_err(unreadable)?;
        let input = InputScan::read(body);
        let request = Request {
            // Of what the provider holds, no more than the model takes can be read.
            text_bytes: if input.refers {
                input.text_bytes.max(limits.context)
            } else {
                input.text_bytes
            },
            images: input.images,
            output_limit: facts.max_output,
            replies: facts.replies,
        };
        let worst_case = |request: &Request| model.worst_case(request).ok_or_else(unpriced);
        let limit = worst_case(&request)?.output_limit;
        let edits = scan
            .cap_output(dialect, limit, Some(model.chat_limit()))
            .map_err(unreadable)?;
        // An edit makes the body longer by itself, at most.
        let longer = |(name, value): &(&str, Value)| name.len() + value.to_string().len() + 4;
        let longer: usize = edits.iter().map(longer).sum();
        let worst = worst_case(&Request {
            text_bytes: request
                .text_bytes
                .saturating_add(u64::try_from(longer).unwrap_or(u64::MAX)),
            ..request
        })?;
        Ok(Self {
            charge: Charge {
                tokens: worst.tokens(),
                cost: worst.cost,
            },
            edits,
        })
    }
}

fn unreadable(error: ScanError) -> ApiError {
    ApiError::new(400, "malformed_body", format!("Refused: {error}."))
}

/// Asks the budget of a holder.
pub(super) async fn ask<R: DeserializeOwned>(
    env: &Env,
    holder: &str,
    call: &BudgetCall,
) -> Result<R, CallError> {
    objects::budget(env, holder)?.call(call).await
}

/// Gives a reservation back after the reply; one that is forgotten expires.
fn give_back(call: &Call, holder: &str) {
    let (env, holder) = (call.env.clone(), holder.to_owned());
    let release = BudgetCall::Release {
        request: call.id.clone(),
    };
    call.background.run(async move {
        if let Err(error) = ask::<Done>(&env, &holder, &release).await {
            log(&format!("a reservation was not given back: {error}"));
        }
    });
}

/// The refusal in the client's dialect, with the numbers and when to come back.
fn refuse(call: &Call, wanted: &Wanted<'_>, refusal: &Refusal) -> Response {
    let retry_at = refusal.retry_at(call.now);
    let wait = retry_at.map(|at| at.since(call.now));
    // A month is too long to wait, and what never fits needs no waiting: these read as a quota.
    let waits = refusal.limit != LimitName::MonthlyCost && refusal.clears != Clears::Never;
    let code = if waits {
        "rate_limit_exceeded"
    } else {
        "insufficient_quota"
    };
    let told = Told {
        status: Some(429),
        code: Some(code.to_owned()),
        message: format!("{} {}", refusal.message(), refusal.hint()),
        retry_after: None,
    };
    let mut body = told.body_in(wanted.client);
    if let Some(error) = body.get_mut("error").and_then(Value::as_object_mut) {
        // Some APIs say it here, in seconds.
        if let Some(at) = retry_at.filter(|_| waits) {
            error.insert("resets_at".to_owned(), json!(at.0.div_ceil(1_000)));
        }
        error.insert("budget".to_owned(), json!(refusal));
        error.insert("request_id".to_owned(), json!(call.id));
    }
    let mut response = http::json(told.status_in(wanted.client), &body);
    let headers = response.headers_mut();
    let set = |name: &str, value: String| {
        // Names are constant and values are numbers and words.
        let _ = headers.set(name, &value);
    };
    if let Some(at) = retry_at.filter(|_| waits) {
        super::telling::until(call, wanted.claims, at);
    }
    if let Some(wait) = wait {
        set("retry-after", wait.0.div_ceil(1_000).to_string());
    }
    if !waits || wait.is_none_or(|wait| wait > PATIENCE) {
        // The official clients would try twice more at once.
        set("x-should-retry", "false".to_owned());
    }
    response
}

/// Tells both budgets that a call is still under way.
pub(super) async fn renew(env: &Env, scope: &CallScope, request: &RequestId) {
    let renew = BudgetCall::Renew {
        request: request.clone(),
    };
    let (person, project) = join(
        ask::<Done>(env, scope.user.as_str(), &renew),
        ask::<Done>(env, scope.project.as_str(), &renew),
    )
    .await;
    for error in [person.err(), project.err()].into_iter().flatten() {
        log(&format!("a reservation was not renewed: {error}"));
    }
}
