//! `--attach`: files that go with a prompt, stored before it is sent.

use crate::api::{Api, Call};
use crate::args::Attach;
use crate::error::Failure;
use sam_domain::access::route::RouteId;
use sam_domain::conversation::attachment::{Attachment, check};
use sam_domain::conversation::row::BodyRef;
use sam_domain::id::{Id, ProjectId};
use sha2::{Digest, Sha256};
use std::path::Path;

/// Longest file, in bytes: what the server stores as one.
const FILE_BYTES: u64 = 8 << 20;

/// Stores the files in the project and says what a prompt calls them.
pub(super) async fn store(
    api: &Api,
    project: &ProjectId,
    attach: &Attach,
) -> Result<Vec<Attachment>, Failure> {
    let mut files = Vec::with_capacity(attach.files.len());
    for path in &attach.files {
        files.push(read(path)?);
    }
    let attachments: Vec<Attachment> = files.iter().map(|(named, _)| named.clone()).collect();
    check(&attachments).map_err(|error| Failure::usage(error.message, "Give it another name."))?;
    for (named, bytes) in files {
        let segments = [project.as_str(), named.sha256.as_str()];
        let call = Call::new(RouteId::PutAttachment, &segments).bytes(bytes);
        let _: BodyRef = api.json(call).await?;
    }
    Ok(attachments)
}

fn read(path: &Path) -> Result<(Attachment, Vec<u8>), Failure> {
    let shown = path.display();
    let failed = |error| Failure::local(&format!("Could not read {shown}"), &error);
    let meta = std::fs::metadata(path).map_err(failed)?;
    if !meta.is_file() || meta.len() > FILE_BYTES {
        return Err(Failure::usage(
            format!("{shown} is not a file of at most {FILE_BYTES} bytes."),
            "Put long material into the repository and point to it.",
        ));
    }
    let bytes = std::fs::read(path).map_err(failed)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let sha256 = Sha256::digest(&bytes);
    let attachment = Attachment {
        name: name.into_owned(),
        media_type: media_type(path, &bytes).to_owned(),
        sha256: sha256.iter().map(|byte| format!("{byte:02x}")).collect(),
        bytes: bytes.len() as u64,
    };
    Ok((attachment, bytes))
}

/// What a file is, by its name and its bytes.
fn media_type(path: &Path, bytes: &[u8]) -> &'static str {
    let extension = path.extension().unwrap_or_default().to_ascii_lowercase();
    match extension.to_str().unwrap_or_default() {
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "pdf" => "application/pdf",
        "zip" => "application/zip",
        "json" => "application/json",
        "md" => "text/markdown",
        _ if std::str::from_utf8(bytes).is_ok() => "text/plain",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_named_and_known_by_its_content() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("Log 1.txt");
        std::fs::write(&path, "abc").unwrap();
        let (named, bytes) = read(&path).unwrap();
        assert_eq!(
            (&*named.name, &*named.media_type),
            ("Log 1.txt", "text/plain")
        );
        assert_eq!((named.bytes, bytes), (3, b"abc".to_vec()));
        assert!(named.sha256.starts_with("ba7816bf8f01cfea"));
        assert!(read(dir.path()).is_err());
        assert_eq!(media_type(Path::new("A.PNG"), &[0x89]), "image/png");
        assert_eq!(
            media_type(Path::new("a.bin"), &[0xff]),
            "application/octet-stream"
        );
    }
}
