//! The record of one model call, kept however the call ends.

use std::time::Duration;

use futures::channel::oneshot::{self, Receiver, Sender};
use futures::future::{Either, select};
use sam_dialects::Usage;
use sam_domain::budget::call::{CallEnd, ModelCall};
use sam_domain::budget::ledger::RENEWAL;
use sam_domain::catalogue::model::Model;
use sam_domain::catalogue::price::Tokens;
use worker::Env;

use super::budget::{self, Admission};
use super::settlement;
use crate::call::Call;

/// A record that is kept when it is dropped, so that no way out of a call can forget it.
///
/// Whoever keeps it waits from the call's beginning, and renews what is reserved meanwhile. Once a
/// client has left, the runtime gives time only to what it was asked to wait for before.
pub(super) struct Record {
    /// Both are absent once the record is on its way.
    keeper: Option<Sender<ModelCall>>,
    call: Option<ModelCall>,
    model: Model,
}

impl Record {
    /// The record of a call that is about to be made.
    pub(super) fn begin(call: &Call, admission: &Admission, model: &Model) -> Self {
        let (keeper, ended) = oneshot::channel();
        let record = ModelCall {
            request: call.id.clone(),
            scope: admission.scope().clone(),
            at: call.now,
            status: 0,
            tokens: None,
            cost: 0,
            end: CallEnd::Unanswered,
            reserved: admission.reserved(),
            log: None,
        };
        let (env, held) = (
            call.env.clone(),
            record.reserved.is_some().then(|| record.clone()),
        );
        call.background.run(keep(env, held, ended));
        Self {
            keeper: Some(keeper),
            call: Some(record),
            model: model.clone(),
        }
    }

    /// The upstream answered with this status, and logged the call under this id.
    pub(super) fn answered(&mut self, status: u16, log: Option<String>) {
        if let Some(call) = &mut self.call {
            call.status = status;
            call.log = log;
        }
    }

    /// What the upstream reported, and how its reply ended. An error that was passed on whole is
    /// still an error.
    pub(super) fn ended(&mut self, usage: Option<Usage>, end: CallEnd) {
        if let Some(call) = &mut self.call {
            call.tokens = usage.map(|usage| Tokens {
                input: usage.input,
                cached_input: usage.cached_input,
                cache_write: usage.cache_write,
                output: usage.output,
            });
            let cost = call.tokens.and_then(|tokens| self.model.cost(&tokens));
            call.cost = cost.unwrap_or_default();
            call.end = match end {
                CallEnd::Complete if call.status >= 400 => CallEnd::Refused,
                end => end,
            };
        }
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        if let (Some(keeper), Some(call)) = (self.keeper.take(), self.call.take()) {
            // The keeper is gone only when the whole event is.
            let _ = keeper.send(call);
        }
    }
}

/// Waits for the record, renews what is reserved until then, and hands the record on.
async fn keep(env: Env, held: Option<ModelCall>, mut ended: Receiver<ModelCall>) {
    let record = loop {
        let Some(held) = &held else {
            break ended.await;
        };
        let renewal = std::pin::pin!(worker::Delay::from(Duration::from_millis(RENEWAL.0)));
        match select(ended, renewal).await {
            Either::Left((record, _)) => break record,
            Either::Right((_, waiting)) => ended = waiting,
        }
        budget::renew(&env, &held.scope, &held.request).await;
    };
    if let Ok(record) = record {
        settlement::settle(&env, record).await;
    }
}
