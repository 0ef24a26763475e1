//! Files that a person attached to a prompt: fetched, put beside the repository, given to the agent.
//!
//! Model: each lies in the agent's home, in a folder of its prompt, under the name it came with; the
//! repository never holds it, so no commit does. The agent is told where it lies, and is handed what it
//! says it takes: a picture as a picture, a short text as a text; anything else as a link.
//!
//! Invariant: a name was checked (`sam_domain::conversation::attachment`) and is checked again here:
//! nothing is written anywhere but into a folder that was made for it.

use super::login;
use crate::layout::Layout;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sam_acp::Block;
use sam_domain::conversation::attachment::{Attachment, check};
use sam_domain::id::PromptId;
use serde_json::{Value, json};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

/// Largest picture that is handed over as one.
const PICTURE_BYTES: usize = 4 << 20;
/// Largest text that is handed over as one.
const TEXT_BYTES: usize = 64 << 10;

/// What an agent says it takes in a prompt, beside texts and links.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Takes {
    pictures: bool,
    texts: bool,
}

impl Takes {
    /// As its answer to `initialize` says.
    pub(super) fn of(initialized: &Value) -> Self {
        let says = |what: &str| {
            let pointer = format!("/agentCapabilities/promptCapabilities/{what}");
            initialized.pointer(&pointer).and_then(Value::as_bool) == Some(true)
        };
        Self {
            pictures: says("image"),
            texts: says("embeddedContext"),
        }
    }
}

/// Puts the files of a prompt where its agent finds them, and says so in blocks of its prompt.
///
/// # Errors
/// When a name is none of a file, or the disk takes no file.
pub(super) fn place(
    layout: &Layout,
    prompt: &PromptId,
    takes: Takes,
    files: Vec<(Attachment, Vec<u8>)>,
) -> Result<Vec<Block>, String> {
    let named: Vec<Attachment> = files.iter().map(|(file, _)| file.clone()).collect();
    check(&named).map_err(|error| error.message)?;
    let failed = |error: std::io::Error| format!("its attachments cannot be stored: {error}");
    let mut told = String::from("Files that belong to this request:");
    let mut blocks = Vec::new();
    for (file, bytes) in files {
        let path = format!("attachments/{prompt}/{}", file.name);
        let path = login::place(&layout.home(), &path).map_err(failed)?;
        // One that is there is replaced, and no link is followed.
        let _ = std::fs::remove_file(&path);
        std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .and_then(|mut stored| stored.write_all(&bytes))
            .map_err(failed)?;
        told.push_str(&format!("\n- {}", path.display()));
        blocks.push(block(takes, &file, path, &bytes));
    }
    blocks.insert(0, Block::text(told));
    Ok(blocks)
}

/// A file as the agent takes it.
fn block(takes: Takes, file: &Attachment, path: PathBuf, bytes: &[u8]) -> Block {
    let uri = url::Url::from_file_path(path).map_or_else(|()| file.name.clone(), String::from);
    let kind = &file.media_type;
    let text = std::str::from_utf8(bytes).ok();
    let raw = match text {
        _ if takes.pictures && kind.starts_with("image/") && bytes.len() <= PICTURE_BYTES => {
            json!({"type": "image", "mimeType": kind, "data": STANDARD.encode(bytes), "uri": uri})
        }
        Some(text) if takes.texts && bytes.len() <= TEXT_BYTES => {
            json!({"type": "resource", "resource": {"uri": uri, "mimeType": kind, "text": text}})
        }
        _ => json!({
            "type": "resource_link", "uri": uri, "name": file.name, "mimeType": kind,
            "size": bytes.len(),
        }),
    };
    Block::Other { raw }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;
    use sam_domain::id::{Id as _, WorkspaceId};

    fn file(name: &str, media_type: &str) -> Attachment {
        Attachment {
            name: name.to_owned(),
            media_type: media_type.to_owned(),
            sha256: String::new(),
            bytes: 0,
        }
    }

    fn kinds(takes: Takes) -> Vec<String> {
        let dir = tempfile::tempdir().unwrap();
        let mut turn = clock::turn();
        let layout = Layout::new(dir.path(), &WorkspaceId::draw(&mut turn));
        layout.make_afresh().unwrap();
        let prompt = PromptId::draw(&mut turn);
        let files = vec![
            (file("shot.png", "image/png"), vec![0x89, b'P']),
            (file("notes.md", "text/markdown"), b"# Notes".to_vec()),
            (file("all.zip", "application/zip"), vec![0xff; 9]),
        ];
        let blocks = place(&layout, &prompt, takes, files).unwrap();
        let stored = layout.home().join("attachments").join(prompt.to_string());
        assert_eq!(std::fs::read(stored.join("notes.md")).unwrap(), b"# Notes");
        let told = blocks[0].as_text().unwrap();
        assert!(
            told.contains(&*stored.join("shot.png").to_string_lossy()),
            "{told}"
        );
        let kind = |block: &Block| match block {
            Block::Other { raw } => raw["type"].as_str().map(str::to_owned),
            Block::Text { .. } => None,
        };
        blocks.iter().filter_map(kind).collect()
    }

    #[test]
    fn an_agent_is_handed_what_it_takes_and_linked_to_the_rest() {
        let links = ["resource_link", "resource_link", "resource_link"];
        assert_eq!(kinds(Takes::of(&json!({}))), links);
        let capabilities = json!({"image": true, "embeddedContext": true});
        let all = json!({"agentCapabilities": {"promptCapabilities": capabilities}});
        assert_eq!(
            kinds(Takes::of(&all)),
            ["image", "resource", "resource_link"]
        );
    }

    #[test]
    fn nothing_is_written_beside_the_folder() {
        let dir = tempfile::tempdir().unwrap();
        let mut turn = clock::turn();
        let layout = Layout::new(dir.path(), &WorkspaceId::draw(&mut turn));
        layout.make_afresh().unwrap();
        let prompt = PromptId::draw(&mut turn);
        for name in ["../../repo/x", "/tmp/x", "..", ".bashrc"] {
            let files = vec![(file(name, "text/plain"), Vec::new())];
            assert!(
                place(&layout, &prompt, Takes::default(), files).is_err(),
                "{name}"
            );
        }
        assert!(!layout.home().join("attachments").exists());
        // A link that an agent left in a file's or a folder's place is not followed.
        let elsewhere = dir.path().join("elsewhere");
        std::fs::create_dir(&elsewhere).unwrap();
        let folder = layout.home().join("attachments");
        for planted in [folder.join(prompt.to_string()).join("a"), folder] {
            let _ = std::fs::remove_dir_all(&planted);
            std::fs::create_dir_all(planted.parent().unwrap()).unwrap();
            std::os::unix::fs::symlink(&elsewhere, &planted).unwrap();
            let files = vec![(file("a", "text/plain"), Vec::new())];
            assert!(place(&layout, &prompt, Takes::default(), files).is_ok());
            assert_eq!(elsewhere.read_dir().unwrap().count(), 0, "{planted:?}");
        }
    }
}
