//! Transcripts on disk.
//!
//! `ROOT/SESSION/000000.jsonl` and so on, and a file `lock` beside them, which
//! the process that writes holds. A segment appears whole, with its header and
//! checkpoint, by a rename; then lines are added to it until it is long
//! enough.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;
use serde_json::Value;

use super::event::{Event, Header, Line};
use super::read::{Entry, Reader, happened};
use super::redact::Redactor;
use super::state::State;
use super::{FORMAT, VERSION};

/// A segment of this length gets no further line.
const SEGMENT: u64 = 4 * 1024 * 1024;
/// What a session's id begins with.
const PREFIX: &str = "har_";

/// Why a transcript cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum TranscriptError {
    /// The operating system refuses.
    #[error("{path}: {error}")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// Its words.
        error: io::Error,
    },
    /// There is no such session.
    #[error("there is no session {0}")]
    Unknown(String),
    /// There is no session at all.
    #[error("no session is recorded in {0} yet")]
    Empty(PathBuf),
    /// More than one session's id begins so.
    #[error("{0} begins the ids of more than one session")]
    Ambiguous(String),
    /// Another process writes it.
    #[error("session {0} is open in another process")]
    Busy(String),
    /// No segment can be resumed.
    #[error("session {session} cannot be read: {why}")]
    Damaged {
        /// The session.
        session: String,
        /// What is wrong.
        why: String,
    },
}

fn io_error(path: &Path) -> impl FnOnce(io::Error) -> TranscriptError + use<'_> {
    |error| TranscriptError::Io {
        path: path.to_owned(),
        error,
    }
}

fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |now| u64::try_from(now.as_millis()).unwrap_or(u64::MAX))
}

/// Where transcripts lie when nobody says where: below `$XDG_STATE_HOME`, or
/// `~/.local/state`.
pub fn default_root() -> Option<PathBuf> {
    let absolute = |name: &str| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let state =
        absolute("XDG_STATE_HOME").or_else(|| Some(absolute("HOME")?.join(".local/state")))?;
    Some(state.join("sam-harness/sessions"))
}

/// A transcript that is being written.
#[derive(Debug)]
pub struct Transcript {
    dir: PathBuf,
    header: Header,
    redactor: Redactor,
    file: File,
    path: PathBuf,
    bytes: u64,
    /// Held as long as the transcript is written.
    _lock: File,
}

/// A transcript that was opened again.
#[derive(Debug)]
pub struct Found {
    /// To go on with.
    pub transcript: Transcript,
    /// The conversation.
    pub state: State,
    /// Lines that could not be read since the last checkpoint.
    pub unreadable: u64,
}

impl Transcript {
    /// Begins one for a new session with this state; its id is the header's.
    pub fn create(
        root: &Path,
        mut header: Header,
        redactor: Redactor,
        state: &State,
    ) -> Result<Self, TranscriptError> {
        let mut entropy = [0_u8; 16];
        // Without entropy the time alone tells sessions apart, and a directory
        // that exists is refused.
        let _ = getrandom::fill(&mut entropy);
        let id = ulid::Ulid::from_parts(now(), u128::from_le_bytes(entropy));
        header.session = format!("{PREFIX}{}", id.to_string().to_ascii_lowercase());
        FORMAT.clone_into(&mut header.format);
        header.version = VERSION;
        header.created = now();
        header.segment = 0;
        let dir = root.join(&header.session);
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true).mode(0o700);
        builder.create(root).map_err(io_error(root))?;
        builder.recursive(false);
        builder.create(&dir).map_err(io_error(&dir))?;
        let lock = lock(&dir, &header.session)?;
        let (path, file, bytes) = segment(&dir, &header, &redactor, state)?;
        Ok(Self {
            dir,
            header,
            redactor,
            file,
            path,
            bytes,
            _lock: lock,
        })
    }

    /// Opens one to go on with it. A line that was cut off at its end is
    /// removed, and the removal recorded.
    pub fn open(root: &Path, session: &str, redactor: Redactor) -> Result<Found, TranscriptError> {
        let session = resolve(root, session)?;
        let dir = root.join(&session);
        let lock = lock(&dir, &session)?;
        let segments = segments(&dir)?;
        let mut why = "it has no segment".to_owned();
        for (_, path) in segments.iter().rev() {
            let opened = match resume(path) {
                Ok(opened) => opened,
                Err(reason) => {
                    why = format!("{}: {reason}", path.display());
                    continue;
                }
            };
            let Opened {
                mut header,
                mut state,
                unreadable,
                torn,
                bytes,
            } = opened;
            // Segments after it are damaged as a whole; what is added goes
            // after them, so that nothing is ever written over.
            let newest = segments.last().map_or(0, |(number, _)| *number);
            if unreadable > 0 {
                state.drop_orphans();
            }
            let mut transcript = if header.segment == newest {
                let file = OpenOptions::new()
                    .write(true)
                    .open(path)
                    .map_err(io_error(path))?;
                let mut transcript = Self {
                    dir,
                    header,
                    redactor,
                    file,
                    path: path.clone(),
                    bytes,
                    _lock: lock,
                };
                transcript.seek()?;
                transcript
            } else {
                header.segment = newest.saturating_add(1);
                let (path, file, bytes) = segment(&dir, &header, &redactor, &state)?;
                Self {
                    dir,
                    header,
                    redactor,
                    file,
                    path,
                    bytes,
                    _lock: lock,
                }
            };
            if torn > 0 {
                transcript.append(&Event::Torn { bytes: torn })?;
            }
            return Ok(Found {
                transcript,
                state,
                unreadable,
            });
        }
        Err(TranscriptError::Damaged { session, why })
    }

    /// What the header says.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Cuts off what follows the last whole line.
    fn seek(&mut self) -> Result<(), TranscriptError> {
        let cut = self.file.set_len(self.bytes);
        cut.and_then(|()| self.file.seek(SeekFrom::Start(self.bytes)))
            .map_err(io_error(&self.path))?;
        Ok(())
    }

    /// Adds a line, with one write.
    pub fn append(&mut self, event: &Event) -> Result<(), TranscriptError> {
        let line = Line {
            at: now(),
            event: event.clone(),
        };
        let line = line_of(&line, &self.redactor).map_err(io_error(&self.path))?;
        if let Err(error) = self.file.write_all(&line) {
            // Half a line must not lie before a whole one.
            self.seek()?;
            return Err(io_error(&self.path)(error));
        }
        self.bytes += u64::try_from(line.len()).unwrap_or(u64::MAX);
        Ok(())
    }

    /// Whether it is time for another segment.
    pub fn is_full(&self) -> bool {
        self.bytes >= SEGMENT
    }

    /// Begins another segment with this state.
    pub fn begin_segment(&mut self, state: &State) -> Result<(), TranscriptError> {
        self.header.segment += 1;
        let (path, file, bytes) = segment(&self.dir, &self.header, &self.redactor, state)?;
        (self.path, self.file, self.bytes) = (path, file, bytes);
        Ok(())
    }

    /// Waits until everything written lies on the disk.
    pub fn sync(&self) -> Result<(), TranscriptError> {
        self.file.sync_data().map_err(io_error(&self.path))
    }
}

fn line_of(line: &impl Serialize, redactor: &Redactor) -> io::Result<Vec<u8>> {
    let mut value: Value = serde_json::to_value(line)?;
    redactor.redact(&mut value);
    let mut bytes = serde_json::to_vec(&value)?;
    bytes.push(b'\n');
    Ok(bytes)
}

fn lock(dir: &Path, session: &str) -> Result<File, TranscriptError> {
    let path = dir.join("lock");
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(&path)
        .map_err(io_error(&path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => Err(TranscriptError::Busy(session.to_owned())),
        Err(fs::TryLockError::Error(error)) => Err(io_error(&path)(error)),
    }
}

/// Makes a segment with its first two lines.
fn segment(
    dir: &Path,
    header: &Header,
    redactor: &Redactor,
    state: &State,
) -> Result<(PathBuf, File, u64), TranscriptError> {
    let path = dir.join(format!("{:06}.jsonl", header.segment));
    let begun = dir.join("next");
    let write = || -> io::Result<(File, u64)> {
        let mut bytes = line_of(header, redactor)?;
        let checkpoint = Line {
            at: now(),
            event: Event::Checkpoint {
                state: Box::new(state.clone()),
            },
        };
        bytes.extend(line_of(&checkpoint, redactor)?);
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(true)
            .write(true)
            .mode(0o600)
            .open(&begun)?;
        file.write_all(&bytes)?;
        fs::rename(&begun, &path)?;
        Ok((file, u64::try_from(bytes.len()).unwrap_or(u64::MAX)))
    };
    let (file, bytes) = write().map_err(io_error(&path))?;
    Ok((path, file, bytes))
}

struct Opened {
    header: Header,
    state: State,
    unreadable: u64,
    torn: u64,
    /// Bytes of its whole lines.
    bytes: u64,
}

/// Reads a segment to its end; why not, if it has no header or checkpoint.
fn resume(path: &Path) -> Result<Opened, String> {
    let file = File::open(path).map_err(|error| error.to_string())?;
    let bytes = file.metadata().map_err(|error| error.to_string())?.len();
    let (mut header, mut state) = (None, None::<State>);
    let (mut unreadable, mut torn, mut whole) = (0, 0, bytes);
    for entry in Reader::new(BufReader::with_capacity(1 << 16, file)) {
        match entry.map_err(|error| error.to_string())? {
            Entry::Header(read) => header = Some(read),
            Entry::Line(line) => match (&mut state, line.event) {
                (Some(state), event) => state.apply(&event),
                (state @ None, Event::Checkpoint { state: read }) => *state = Some(*read),
                (None, _) => return Err("it has no checkpoint".to_owned()),
            },
            Entry::Unreadable { why, .. } if header.is_none() => return Err(why),
            Entry::Unreadable { .. } => unreadable += 1,
            Entry::Torn { offset, bytes } => (whole, torn) = (offset, bytes),
        }
    }
    Ok(Opened {
        header: header.ok_or("it has no header")?,
        state: state.ok_or("it has no checkpoint")?,
        unreadable,
        torn,
        bytes: whole,
    })
}

/// A session's segments in order.
fn segments(dir: &Path) -> Result<Vec<(u32, PathBuf)>, TranscriptError> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).map_err(io_error(dir))? {
        let path = entry.map_err(io_error(dir))?.path();
        let number = path
            .file_name()
            .and_then(|name| name.to_str()?.strip_suffix(".jsonl")?.parse().ok());
        if let Some(number) = number {
            found.push((number, path));
        }
    }
    found.sort();
    Ok(found)
}

/// Whether this is a session's whole id.
pub fn is_id(name: &str) -> bool {
    let letters = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric());
    name.strip_prefix(PREFIX)
        .is_some_and(|rest| rest.len() == 26 && letters(rest))
}

/// The sessions' ids, the oldest first.
fn sessions(root: &Path) -> Result<Vec<String>, TranscriptError> {
    let entries = match fs::read_dir(root) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(io_error(root)(error)),
    };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut ids: Vec<String> = names.filter(|name| is_id(name)).collect();
    ids.sort();
    Ok(ids)
}

/// The id that a person means: the whole of it, its beginning, or `last` for
/// the one written last.
fn resolve(root: &Path, wanted: &str) -> Result<String, TranscriptError> {
    let unknown = || TranscriptError::Unknown(wanted.to_owned());
    if is_id(wanted) {
        return match root.join(wanted).is_dir() {
            true => Ok(wanted.to_owned()),
            false => Err(unknown()),
        };
    }
    let ids = sessions(root)?;
    if wanted == "last" {
        let last = ids.into_iter().max_by_key(|id| {
            let segments = segments(&root.join(id)).ok();
            segments.and_then(|segments| written(segments.last()?.1.as_path()))
        });
        return last.ok_or_else(|| TranscriptError::Empty(root.to_owned()));
    }
    let mut matching = ids
        .into_iter()
        .filter(|id| !wanted.is_empty() && id.starts_with(wanted));
    match (matching.next(), matching.next()) {
        (Some(id), None) => Ok(id),
        (Some(_), Some(_)) => Err(TranscriptError::Ambiguous(wanted.to_owned())),
        (None, _) => Err(unknown()),
    }
}

/// What happened in a session, from its beginning, for each line of each
/// segment.
pub fn events(
    root: &Path,
    session: &str,
) -> Result<(Header, impl Iterator<Item = Entry>), TranscriptError> {
    let session = resolve(root, session)?;
    let segments = segments(&root.join(&session))?;
    let mut header = None;
    let mut why = "it has no segment".to_owned();
    for (_, path) in &segments {
        let file = File::open(path).map_err(io_error(path))?;
        match Reader::new(BufReader::new(file)).next() {
            Some(Ok(Entry::Header(read))) => {
                header = Some(read);
                break;
            }
            Some(Ok(Entry::Unreadable { why: reason, .. })) => why = reason,
            Some(Ok(Entry::Line(_) | Entry::Torn { .. }) | Err(_)) | None => {
                "it has no header".clone_into(&mut why);
            }
        }
    }
    let header = header.ok_or(TranscriptError::Damaged { session, why })?;
    let entries = segments.into_iter().flat_map(|(_, path)| {
        let file = File::open(path).ok();
        let lines = file.map(|file| Reader::new(BufReader::with_capacity(1 << 16, file)));
        lines.into_iter().flatten().map_while(Result::ok)
    });
    let shown = entries.filter(|entry| match entry {
        Entry::Header(_) => false,
        Entry::Line(line) => happened(&line.event),
        Entry::Unreadable { .. } | Entry::Torn { .. } => true,
    });
    Ok((header, shown))
}

/// A session in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Its id.
    pub session: String,
    /// Its workspace.
    pub cwd: PathBuf,
    /// Further directories it may touch.
    pub additional_directories: Vec<PathBuf>,
    /// What its first prompt begins with.
    pub title: Option<String>,
    /// When it began, in milliseconds since 1970.
    pub created: u64,
    /// When it was last written, in milliseconds since 1970.
    pub updated: u64,
    /// The model it began with.
    pub model: String,
}

/// The sessions, the one written last first; damaged ones are left out.
pub fn list(root: &Path) -> Result<Vec<Summary>, TranscriptError> {
    let ids = sessions(root)?;
    let mut found: Vec<Summary> = ids.iter().filter_map(|id| summary(root, id)).collect();
    found.reverse();
    found.sort_by_key(|summary| std::cmp::Reverse(summary.updated));
    Ok(found)
}

/// When a file was last written, in milliseconds since 1970.
fn written(path: &Path) -> Option<u64> {
    let modified = path.metadata().ok()?.modified().ok()?;
    let since = modified.duration_since(UNIX_EPOCH).ok()?.as_millis();
    Some(u64::try_from(since).unwrap_or(u64::MAX))
}

fn summary(root: &Path, id: &str) -> Option<Summary> {
    /// The first prompt stands among the first lines.
    const LINES: usize = 16;
    let segments = segments(&root.join(id)).ok()?;
    let updated = written(&segments.last()?.1)?;
    let file = File::open(&segments.first()?.1).ok()?;
    let mut lines = Reader::new(BufReader::new(file)).map_while(Result::ok);
    let Some(Entry::Header(header)) = lines.next() else {
        return None;
    };
    let mut state = State::default();
    for entry in lines.take(LINES) {
        if let Entry::Line(line) = entry {
            state.apply(&line.event);
        }
        if state.title.is_some() {
            break;
        }
    }
    Some(Summary {
        session: header.session,
        cwd: header.cwd,
        additional_directories: header.additional_directories,
        title: state.title,
        created: header.created,
        updated,
        model: header.model,
    })
}
