//! A conversation with its record.
//!
//! Every change of the conversation is an event: it is written to the
//! transcript first and applied to the state then, by the same function that
//! reads it back. A transcript that cannot be written any more does not end
//! the work: it is told once, and the conversation goes on unrecorded.

use std::path::Path;
use std::sync::Arc;

use clap::Args;
use sam_acp::{Notice, NoticeLevel};
use sam_dialects::conversation::{Message, Tool};
use sam_harness::context;
use sam_harness::transcript::{
    Event, Found, Header, Redactor, State, Transcript, TranscriptError, default_root,
};
use serde_json::Value;

use crate::cli::ModelArgs;
use crate::workspace::Workspace;

/// Where and whether conversations are recorded.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Transcript")]
pub(crate) struct RecordArgs {
    /// Where transcripts lie; standard: sam-harness/sessions below $XDG_STATE_HOME or ~/.local/state.
    #[arg(
        hide_short_help = true,
        long,
        value_name = "DIR",
        env = "SAM_TRANSCRIPT_DIR"
    )]
    pub(crate) transcript_dir: Option<std::path::PathBuf>,
    /// Keeps no transcript; the session cannot be resumed.
    #[arg(hide_short_help = true, long)]
    pub(crate) no_transcript: bool,
}

/// Where transcripts lie and what is kept out of them.
#[derive(Debug, Clone)]
pub(crate) struct Records {
    /// None when there are none.
    root: Option<Arc<Path>>,
    /// Whether the place was chosen: then it has to be writable.
    chosen: bool,
    redactor: Redactor,
}

impl Records {
    /// As the flags say; `model`'s secrets stay out of what is written.
    pub(crate) fn new(args: &RecordArgs, model: Option<&ModelArgs>) -> Self {
        let chosen = args.transcript_dir.is_some();
        let root = match args.no_transcript {
            true => None,
            false => args.transcript_dir.clone().or_else(default_root),
        };
        let mut secrets = Redactor::secrets_of_environment();
        if let Some(model) = model {
            secrets.extend(model.api_key.clone());
            let values = model.headers.iter().filter_map(|h| h.split_once(':'));
            secrets.extend(values.map(|(_, value)| value.trim().to_owned()));
        }
        Self {
            root: root.map(Arc::from),
            chosen,
            redactor: Redactor::new(secrets),
        }
    }

    /// The same, keeping these out as well.
    pub(crate) fn without(&self, secrets: Vec<String>) -> Self {
        Self {
            redactor: self.redactor.clone().with(secrets),
            ..self.clone()
        }
    }

    /// The directory of all transcripts.
    pub(crate) fn root(&self) -> Result<&Path, String> {
        self.root.as_deref().ok_or_else(|| {
            "there is no directory of transcripts; name one with --transcript-dir".to_owned()
        })
    }

    /// Begins a session. One that cannot be recorded where it would be by
    /// itself goes on without a record, with the reason beside it.
    pub(crate) fn begin(&self, header: Header) -> Result<(Session, Option<String>), String> {
        let state = State::default();
        let Some(root) = &self.root else {
            return Ok((Session::new(state, None), None));
        };
        match Transcript::create(root, header, self.redactor.clone(), &state) {
            Ok(transcript) => Ok((Session::new(state, Some(transcript)), None)),
            Err(error) if self.chosen => Err(format!("the transcript cannot be written: {error}")),
            Err(error) => {
                let why = format!("there is no transcript, and no resuming: {error}");
                Ok((Session::new(state, None), Some(why)))
            }
        }
    }

    /// Opens a session again, by its id, the beginning of it, or `last`.
    pub(crate) fn resume(
        &self,
        session: &str,
        model: &ModelArgs,
    ) -> Result<Session, TranscriptError> {
        let root = self.root.as_deref();
        let root = root.ok_or_else(|| TranscriptError::Unknown(session.to_owned()))?;
        let Found {
            transcript,
            state,
            unreadable,
        } = Transcript::open(root, session, self.redactor.clone())?;
        let mut session = Session::new(state, Some(transcript));
        session.commit(Event::Resumed {
            agent: agent(),
            provider: model.provider.dialect().name().to_owned(),
            model: model.model.clone(),
        });
        if unreadable > 0 {
            session.commit(Event::Notice {
                notice: Notice {
                    id: "transcript".to_owned(),
                    level: NoticeLevel::Warning,
                    code: "transcript_damaged".to_owned(),
                    text: format!("{unreadable} lines of the transcript could not be read."),
                    hint: None,
                },
            });
        }
        for event in session.state.mend() {
            session.commit(event);
        }
        Ok(session)
    }
}

/// This program and its version.
pub(crate) fn agent() -> String {
    concat!("sam-harness/", env!("CARGO_PKG_VERSION")).to_owned()
}

/// The header of a new session; the transcript fills in the rest.
pub(crate) fn header(workspace: &Workspace, model: &ModelArgs) -> Header {
    Header {
        cwd: workspace.root().to_owned(),
        additional_directories: workspace.further().map(Path::to_owned).collect(),
        agent: agent(),
        provider: model.provider.dialect().name().to_owned(),
        model: model.model.clone(),
        max_output: model.max_output,
        effort: model.effort.map(|effort| {
            sam_dialects::conversation::Effort::from(effort)
                .name()
                .to_owned()
        }),
        context_window: model.context_window,
        compaction: model.compaction.word().to_owned(),
        ..Header::default()
    }
}

/// A conversation and where it is written.
#[derive(Debug)]
pub(crate) struct Session {
    state: State,
    transcript: Option<Transcript>,
    /// Why the transcript is not written any more, until it was told.
    failure: Option<String>,
}

impl Session {
    pub(crate) fn new(state: State, transcript: Option<Transcript>) -> Self {
        Self {
            state,
            transcript,
            failure: None,
        }
    }

    /// Its id, if it is recorded.
    pub(crate) fn id(&self) -> Option<&str> {
        let header = self.transcript.as_ref().map(Transcript::header);
        header.map(|header| header.session.as_str())
    }

    /// What its header says, if it is recorded.
    pub(crate) fn header(&self) -> Option<&Header> {
        self.transcript.as_ref().map(Transcript::header)
    }

    /// The conversation so far.
    pub(crate) fn state(&self) -> &State {
        &self.state
    }

    /// What the model is sent.
    pub(crate) fn messages(&self) -> &[Message] {
        &self.state.messages
    }

    /// Something happened: it is written, then it counts.
    pub(crate) fn commit(&mut self, event: Event) {
        self.write(|transcript| transcript.append(&event));
        self.state.apply(&event);
        if self.transcript.as_ref().is_some_and(Transcript::is_full) {
            let state = &self.state;
            if let Some(transcript) = &mut self.transcript
                && let Err(error) = transcript.begin_segment(state)
            {
                self.failed(&error);
            }
        }
    }

    fn write(&mut self, act: impl FnOnce(&mut Transcript) -> Result<(), TranscriptError>) {
        if let Some(transcript) = &mut self.transcript
            && let Err(error) = act(transcript)
        {
            self.failed(&error);
        }
    }

    fn failed(&mut self, error: &TranscriptError) {
        self.transcript = None;
        self.failure = Some(error.to_string());
    }

    /// Why the transcript ended before the session did; told once.
    pub(crate) fn take_failure(&mut self) -> Option<String> {
        self.failure.take()
    }

    /// The tools offered from here on.
    pub(crate) fn offer(&mut self, tools: Vec<Tool>) {
        if self.state.tools != tools {
            self.commit(Event::Tools { tools });
        }
    }

    /// A setting that changed.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        if self.state.settings.get(name).map(String::as_str) != Some(value) {
            self.commit(Event::Setting {
                name: name.to_owned(),
                value: value.to_owned(),
            });
        }
    }

    /// Something true of this process.
    pub(crate) fn fact(&mut self, name: &str, value: Value) {
        self.commit(Event::Fact {
            name: name.to_owned(),
            value,
        });
    }

    /// What the conversation would be, compacted to about `room` bytes.
    pub(crate) fn compacted(&self, room: u64) -> State {
        context::compact(&self.state, room)
    }

    /// Goes on with a compacted conversation; `event` says what was done.
    pub(crate) fn replace(&mut self, state: State, event: Event) {
        self.commit(event);
        self.state = state;
        let state = &self.state;
        if let Some(transcript) = &mut self.transcript
            && let Err(error) = transcript.begin_segment(state)
        {
            self.failed(&error);
        }
    }

    /// Everything so far lies on the disk.
    pub(crate) fn sync(&mut self) {
        self.write(|transcript| transcript.sync());
    }
}
