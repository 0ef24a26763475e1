//! One session of a host: a conversation, the turn in progress, and what the
//! host has set.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sam_acp::{
    AgentUpdate, OptionCategory, OptionValue, SessionMode, SessionOption, SessionSettings,
};
use sam_dialects::conversation::Effort;
use sam_harness::transcript::title;
use tokio_util::sync::CancellationToken;

use crate::cli::ModelArgs;
use crate::guard::{Guard, PermissionMode};
use crate::limits::TurnSummary;
use crate::model::{EFFORT, MODEL, ModelClient, ModelError, Settings};
use crate::serve::watcher::Watcher;
use crate::tools::ProcessGroups;
use crate::turn::{Conversation, Prompt};

/// The option that is the permission mode.
pub(super) const MODE: &str = "mode";
/// The value of an option that nobody has set.
const STANDARD: &str = "default";
/// How hard a model can be told to think.
const EFFORTS: [&str; 8] = [
    STANDARD, "none", "minimal", "low", "medium", "high", "xhigh", "max",
];

pub(super) struct Session {
    conversation: Arc<tokio::sync::Mutex<Conversation>>,
    /// Of the turn in progress.
    cancel: Arc<Mutex<Option<CancellationToken>>>,
    guard: Arc<Guard>,
    groups: ProcessGroups,
    /// What the host has set, beside the mode; counts from the next turn on.
    chosen: Arc<Mutex<Settings>>,
    /// The models a host may choose from, the standard one first.
    models: Vec<String>,
    effort: &'static str,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Session {
    pub(super) fn new(
        conversation: Conversation,
        guard: Arc<Guard>,
        groups: ProcessGroups,
        model: &ModelClient,
        args: &ModelArgs,
    ) -> Self {
        let mut models = vec![model.model().to_owned()];
        for further in &args.further_models {
            if !models.contains(further) {
                models.push(further.clone());
            }
        }
        Self {
            conversation: Arc::new(tokio::sync::Mutex::new(conversation)),
            cancel: Arc::default(),
            guard,
            groups,
            chosen: Arc::default(),
            models,
            effort: model.effort().map_or(STANDARD, Effort::name),
        }
    }

    /// With what was chosen when the session was open before.
    pub(super) fn restored(self, chosen: &Settings, keep_mode: bool) -> Self {
        for (name, value) in chosen {
            if !(keep_mode && name == MODE) {
                // What is not offered any more is left as it is now.
                let _ = self.set(name, value);
            }
        }
        self
    }

    /// Sets an option, or says why it cannot have that value.
    pub(super) fn set(&self, option: &str, value: &str) -> Result<(), String> {
        let unknown = || format!("{option} cannot be {value}");
        match option {
            MODE => {
                let mode = PermissionMode::named(value).ok_or_else(unknown)?;
                self.guard.set_mode(mode);
            }
            MODEL if self.models.iter().any(|model| model == value) => {}
            EFFORT if EFFORTS.contains(&value) => {}
            MODEL | EFFORT => return Err(unknown()),
            _ => return Err(format!("there is no option {option}")),
        }
        lock(&self.chosen).insert(option.to_owned(), value.to_owned());
        Ok(())
    }

    /// What it can be set to, and is.
    pub(super) fn settings(&self) -> SessionSettings {
        let chosen = lock(&self.chosen);
        let mode = self.guard.mode().word().to_owned();
        let named = |value: &str, name: &str| OptionValue {
            value: value.to_owned(),
            name: name.to_owned(),
        };
        let current = |name: &str, standard: &str| {
            chosen
                .get(name)
                .cloned()
                .unwrap_or_else(|| standard.to_owned())
        };
        let model = self.models.first().map_or(STANDARD, String::as_str);
        let options = vec![
            SessionOption {
                id: MODE.to_owned(),
                name: "Permission mode".to_owned(),
                category: OptionCategory::Mode,
                current: mode.clone(),
                values: PermissionMode::ALL
                    .iter()
                    .map(|mode| named(mode.word(), mode.name()))
                    .collect(),
            },
            SessionOption {
                id: MODEL.to_owned(),
                name: "Model".to_owned(),
                category: OptionCategory::Model,
                current: current(MODEL, model),
                values: self
                    .models
                    .iter()
                    .map(|model| named(model, model))
                    .collect(),
            },
            SessionOption {
                id: EFFORT.to_owned(),
                name: "Thinking effort".to_owned(),
                category: OptionCategory::ThoughtLevel,
                current: current(EFFORT, self.effort),
                values: EFFORTS.iter().map(|effort| named(effort, effort)).collect(),
            },
        ];
        SessionSettings {
            mode,
            modes: PermissionMode::ALL
                .iter()
                .map(|mode| SessionMode {
                    id: mode.word().to_owned(),
                    name: mode.name().to_owned(),
                    description: mode.meaning().to_owned(),
                })
                .collect(),
            options,
        }
    }

    /// A new turn; none while another runs.
    pub(super) fn begin(&self) -> Option<Turn> {
        let mut running = lock(&self.cancel);
        if running.is_some() {
            return None;
        }
        let cancel = CancellationToken::new();
        *running = Some(cancel.clone());
        Some(Turn {
            conversation: Arc::clone(&self.conversation),
            running: Arc::clone(&self.cancel),
            chosen: Arc::clone(&self.chosen),
            cancel,
        })
    }

    pub(super) fn cancel(&self) {
        if let Some(cancel) = lock(&self.cancel).as_ref() {
            cancel.cancel();
        }
    }

    /// Ends what its commands have left running.
    pub(super) fn kill(&self) {
        self.groups.kill();
    }

    /// Waits for a cancelled turn's end and leaves nothing running.
    pub(super) async fn end(self) {
        drop(self.conversation.lock().await);
        self.groups.kill();
    }
}

/// A turn that is about to run.
pub(super) struct Turn {
    conversation: Arc<tokio::sync::Mutex<Conversation>>,
    running: Arc<Mutex<Option<CancellationToken>>>,
    chosen: Arc<Mutex<Settings>>,
    cancel: CancellationToken,
}

impl Turn {
    /// Works on the prompt to the turn's end.
    pub(super) async fn run(
        self,
        model: &ModelClient,
        prompt: Prompt,
        watcher: &Watcher,
    ) -> Result<TurnSummary, ModelError> {
        let ended = {
            let mut conversation = self.conversation.lock().await;
            let session = conversation.session();
            let chosen = lock(&self.chosen).clone();
            for (name, value) in &chosen {
                session.set(name, value);
            }
            if session.state().title.is_none()
                && let Some(title) = title(&prompt.parts)
            {
                watcher.send(AgentUpdate::SessionInfo {
                    title: Some(title),
                    raw: serde_json::Value::Null,
                });
            }
            conversation
                .turn(model, prompt, watcher, &self.cancel)
                .await
        };
        *lock(&self.running) = None;
        ended
    }
}
