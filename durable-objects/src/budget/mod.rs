//! Budget: what a person or a project may use, what it reserved and what it spent.
//!
//! One object for each person and each project, named by its id, and one for the installation, which
//! keeps how far the comparison with the provider's records came. The rules are the ledger's
//! ([`sam_domain::budget::ledger`]); here it is loaded, stepped and stored in one turn, with the
//! record of the call beside it ([`book`]).
//!
//! Each row written is billed, so a reservation is one row and a settlement two; without limits
//! nothing is reserved, and a call is the one row that records it.

#![expect(
    missing_docs,
    reason = "the attribute of the class writes methods without documentation"
)]

mod book;
mod schema;
#[cfg(test)]
mod tests;
mod usage;

use std::rc::Rc;

use sam_domain::budget::call::{BudgetCall, Reserved};
use sam_domain::conversation::call::Done;
use sam_domain::error::ApiError;
use sam_domain::time::{Millis, Timestamp};
use sam_platform::alarm::Alarm;
use sam_platform::clock;
use sam_platform::objects::Class;
use sam_platform::probe::{Event, Probe};
use sam_platform::sql::Sql;
use worker::{DurableObject, Env, Request, Response, State, durable_object};

use crate::object::{self, Asked};
use crate::shell::ShellError;

/// The alarm after an alarm that failed comes no sooner than this.
const ALARM_PAUSE: Millis = Millis::minutes(1);

/// The object of one person, one project, or the installation.
#[durable_object(alarm)]
pub struct Budget {
    inner: Result<Rc<Inner>, String>,
}

/// What the object holds.
struct Inner {
    sql: Sql,
    alarm: Alarm,
    probe: Probe,
}

impl DurableObject for Budget {
    fn new(state: State, _env: Env) -> Self {
        Self {
            inner: Inner::open(&state)
                .map(Rc::new)
                .map_err(|error| error.to_string()),
        }
    }

    async fn fetch(&self, request: Request) -> worker::Result<Response> {
        Ok(match &self.inner {
            Ok(inner) => object::request(&inner.probe, &request, inner.serve(&request)).await,
            Err(cause) => object::broken(cause),
        })
    }

    async fn alarm(&self) -> worker::Result<Response> {
        if let Ok(inner) = &self.inner {
            let work = async { inner.alarmed() };
            inner.probe.event(Event::Alarm, work).await;
        }
        Ok(object::done())
    }
}

impl Inner {
    fn open(state: &State) -> Result<Self, ShellError> {
        let probe = Probe::of(state, Class::Budget);
        let sql = Sql::of(state, probe.clone())?;
        schema::create(&sql)?;
        Ok(Self {
            alarm: Alarm::of(state, probe.clone())?,
            sql,
            probe,
        })
    }

    async fn serve(&self, request: &Request) -> Response {
        match object::asked(request) {
            Ok(Asked::Call) => match object::read_call(&self.probe, request).await {
                Ok(call) => object::answer(self.call(call)),
                Err(error) => object::refused(&error),
            },
            #[cfg(feature = "fault-injection")]
            Ok(Asked::Fault(fault)) => crate::faults::of_no_actor(&self.alarm, fault).await,
            Ok(_) => object::refused(&ApiError::not_found("call")),
            Err(error) => object::refused(&error),
        }
    }

    /// Performs a call in one transaction and returns its reply as JSON.
    fn call(&self, call: BudgetCall) -> Result<String, ShellError> {
        let now = clock::now();
        self.sql.transaction(|| self.perform(now, call))
    }

    fn perform(&self, now: Timestamp, call: BudgetCall) -> Result<String, ShellError> {
        let sql = &self.sql;
        match call {
            BudgetCall::Reserve {
                holder,
                request,
                scope,
                charge,
            } => {
                let (reserved, expiry) = book::reserve(sql, now, holder, &request, charge, scope)?;
                if let (Reserved::Granted { .. }, Some(expiry)) = (&reserved, expiry) {
                    self.alarm.set_if_earlier(expiry)?;
                }
                object::text(&reserved)
            }
            BudgetCall::Release { request } => {
                book::change(sql, |ledger| ledger.release(&request))?;
                object::text(&Done {})
            }
            BudgetCall::Renew { request } => {
                book::change(sql, |ledger| ledger.renew(now, &request))?;
                object::text(&Done {})
            }
            BudgetCall::Settle { records } => object::text(&book::settle(sql, now, &records)?),
            BudgetCall::View => object::text(&book::view(sql, now)?),
            BudgetCall::SetLimits { layer, limits } => {
                book::set_limits(sql, now, layer, limits)?;
                object::text(&book::view(sql, now)?)
            }
            BudgetCall::Usage { by, from, to } => object::text(&usage::grouped(sql, by, from, to)?),
            BudgetCall::TaskUsage { task } => object::text(&usage::of_task(sql, &task)?),
            BudgetCall::Reconcile { logged } => object::text(&book::reconcile(sql, now, &logged)?),
            BudgetCall::GetReconciliation => object::text(&book::reconciliation(sql)?),
            BudgetCall::PutReconciliation { state } => {
                object::text(&book::put_reconciliation(sql, state)?)
            }
        }
    }

    /// Counts what expired, and sets the alarm for what will.
    fn alarmed(&self) {
        let _ringing = self.alarm.fired();
        let now = clock::now();
        let next = self.sql.transaction(|| book::expire(&self.sql, now));
        let set = match next {
            Ok(Some(next)) => self.alarm.set_if_earlier(next),
            Ok(None) => Ok(()),
            Err(error) => {
                worker::console_error!("alarm: {error}");
                self.alarm.set(now.plus(ALARM_PAUSE))
            }
        };
        if let Err(error) = set {
            worker::console_error!("alarm: {error}");
        }
    }
}
