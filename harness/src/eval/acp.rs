//! An agent over the Agent Client Protocol: started, given one prompt, allowed
//! what it asks, and ended.

use std::process::Stdio;
use std::time::Duration;

use sam_acp::{
    AcpError, AcpSessionId, Besides, Block, Host, HostEvent, HostEvents, HostOptions,
    PermissionOption, PermissionOptionKind, PermissionOutcome, StopReason, TurnId,
};
use sam_domain::agents::{Mode, PermissionMode, Values};
use tokio::time::{Instant, timeout, timeout_at};

use super::agent::{Ended, Foreign, Order, Work, program};
use super::place::{Group, Place};
use super::reads::ReadCounter;

/// How long a turn may go on after it was cancelled, and a process after its
/// input was closed.
const GRACE: Duration = Duration::from_secs(5);
/// What agents that SAM does not know are told, beside `--agent-env`.
const USUAL: [(&str, &str); 8] = [
    ("SAM_MODEL_URL", "$ORIGIN/v1"),
    ("SAM_MODEL_KEY", "$SECRET"),
    ("SAM_MODEL", "$MODEL"),
    ("OPENAI_BASE_URL", "$ORIGIN/v1"),
    ("OPENAI_API_KEY", "$SECRET"),
    ("ANTHROPIC_BASE_URL", "$ORIGIN/anthropic"),
    ("ANTHROPIC_API_KEY", "$SECRET"),
    ("ANTHROPIC_MODEL", "$MODEL"),
];

/// Lets it work on a prompt.
pub(super) async fn work(
    foreign: &Foreign,
    place: &Place,
    values: Values<'_>,
    order: Order<'_>,
) -> Result<Work, String> {
    let until = Instant::now() + order.limit;
    let name = program(foreign);
    let failed = |error: std::io::Error| format!("{} does not start: {error}", name.display());
    let mode = foreign
        .recipe
        .map(|recipe| recipe.mode(PermissionMode::Full).unwrap_or(&Mode::PLAIN));
    let known = foreign.recipe.map_or(&USUAL[..], |recipe| recipe.env);
    let of_mode = mode.map_or(&[][..], |mode| mode.env);
    let given = foreign.env.iter().map(|(name, value)| (&**name, &**value));
    let env = known.iter().chain(of_mode).copied().chain(given);
    for (path, template) in foreign.recipe.map_or(&[][..], |recipe| recipe.files) {
        let path = place.home().join(path);
        let folder = path.parent().unwrap_or(&path);
        std::fs::create_dir_all(folder).map_err(failed)?;
        std::fs::write(&path, values.fill_file(template)).map_err(failed)?;
    }
    let mut command = place.command(&name);
    command
        .args(foreign.words.iter().skip(1))
        .envs(env.map(|(name, template)| (name, values.fill(template))))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(place.log("agent").map_err(failed)?);
    let mut running = Group::spawn(&mut command).map_err(failed)?;
    let (Some(stdout), Some(stdin)) = (running.child.stdout.take(), running.child.stdin.take())
    else {
        return Err(format!("{} has no streams", name.display()));
    };
    let options = HostOptions {
        client_name: "sam-harness-eval".to_owned(),
        client_version: env!("CARGO_PKG_VERSION").to_owned(),
        ..HostOptions::default()
    };
    let (host, events) = Host::connect(stdout, stdin, options);
    let mut session = Session {
        host,
        events,
        reads: ReadCounter::new(place.repository()),
    };
    let meta = mode
        .and_then(|mode| mode.meta)
        .map(|meta| serde_json::from_str(&values.fill(meta)))
        .transpose()
        .map_err(|error| format!("the settings of {}: {error}", name.display()))?;
    let opened = timeout_at(until, session.open(place, mode, &values, meta.as_ref())).await;
    let (ended, why) = match opened {
        Ok(Ok(id)) => session.turn(&id, order.prompt, until).await,
        Ok(Err(error)) => (Ended::Failed, Some(error.to_string())),
        Err(_) => (Ended::TimeLimit, None),
    };
    session.host.close();
    let _ = timeout(GRACE, running.child.wait()).await;
    drop(running);
    let why = why.map(|why| match place.told("agent") {
        Some(said) => format!("{why}; it said: {said}"),
        None => why,
    });
    Ok(Work {
        ended,
        why,
        reads: session.reads.reads(),
        ..Work::default()
    })
}

struct Session {
    host: Host,
    events: HostEvents,
    reads: ReadCounter,
}

impl Session {
    /// A session in which everything is allowed.
    async fn open(
        &self,
        place: &Place,
        mode: Option<&Mode>,
        values: &Values<'_>,
        meta: Option<&serde_json::Value>,
    ) -> Result<AcpSessionId, AcpError> {
        self.host.initialize().await?;
        let repository = place.repository();
        let besides = Besides {
            meta,
            ..Besides::default()
        };
        let opened = self.host.new_session_with(&repository, besides).await?;
        let wanted = mode.and_then(|mode| mode.session_mode);
        if let (Some(wanted), Some(modes)) = (wanted, &opened.modes)
            && modes.current != wanted
        {
            self.host.set_mode(&opened.session, wanted).await?;
        }
        for (option, value) in mode.map_or(&[][..], |mode| mode.options) {
            let (session, value) = (&opened.session, values.fill(value));
            self.host.set_config_option(session, option, &value).await?;
        }
        Ok(opened.session)
    }

    /// One prompt; how it ended, and why when it failed.
    async fn turn(
        &mut self,
        session: &AcpSessionId,
        prompt: &str,
        until: Instant,
    ) -> (Ended, Option<String>) {
        let turn = match self.host.prompt(session, &[Block::text(prompt)]) {
            Ok(turn) => turn,
            Err(error) => return (Ended::Failed, Some(error.to_string())),
        };
        match timeout_at(until, self.finished(turn)).await {
            Ok(ended) => ended,
            Err(_) => {
                self.host.cancel(session);
                let _ = timeout(GRACE, self.finished(turn)).await;
                (Ended::TimeLimit, None)
            }
        }
    }

    async fn finished(&mut self, id: TurnId) -> (Ended, Option<String>) {
        while let Some(event) = self.events.recv().await {
            match event {
                HostEvent::Update { update, .. } => self.reads.take(update),
                HostEvent::Permission(request) => {
                    request.responder.respond(&allowed(&request.options));
                }
                HostEvent::PromptFinished { turn, result, .. } if turn == id => {
                    return match result.map(|outcome| outcome.stop_reason) {
                        Ok(StopReason::EndTurn) => (Ended::Complete, None),
                        Ok(StopReason::MaxTokens | StopReason::MaxTurnRequests) => {
                            (Ended::Limit, None)
                        }
                        Ok(other) => (Ended::Failed, Some(format!("it stopped with {other:?}"))),
                        Err(error) => (Ended::Failed, Some(error.to_string())),
                    };
                }
                HostEvent::Closed(why) => {
                    return (Ended::Failed, Some(format!("it closed: {why:?}")));
                }
                HostEvent::PromptFinished { .. } | HostEvent::Report(_) => {}
            }
        }
        (Ended::Failed, Some("it is gone".to_owned()))
    }
}

/// Yes, where there is one.
fn allowed(options: &[PermissionOption]) -> PermissionOutcome {
    let of = |kind| options.iter().find(|option| option.kind == kind);
    let yes = of(PermissionOptionKind::AllowOnce).or(of(PermissionOptionKind::AllowAlways));
    yes.map_or(PermissionOutcome::Cancelled, |option| {
        PermissionOutcome::Selected {
            option: option.id.clone(),
        }
    })
}
