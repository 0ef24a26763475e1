//! What a commit would put on the disk, read before it is checked out.
//!
//! A tree names its content; it does not hold it. A kilobyte of nested trees
//! can name more files than there is room for, so files and bytes are counted
//! as git lists them, and counting stops at the bound.

use super::clone::too_large;
use super::{Git, GitFailure, Mark};
use std::path::Path;

/// Most files of one checkout.
const FILES_LIMIT: u64 = 1_000_000;
/// Longest path, in bytes; no file system takes a longer one.
const PATH_LIMIT: usize = 8 * 1024;
/// Most names of files that are told to people.
const NAMES_TOLD: usize = 3;

/// What was counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Measured {
    pub(super) files: u64,
    pub(super) bytes: u64,
    pub(super) submodules: u64,
}

/// Reads `git ls-tree -r -l -z`, piece by piece.
#[derive(Debug, Default)]
pub(super) struct Listing {
    pub(super) measured: Measured,
    entry: Vec<u8>,
    /// An entry was not what git writes.
    pub(super) odd: bool,
}

impl Listing {
    /// Takes the next bytes. `false` once the bounds are passed.
    pub(super) fn push(&mut self, bytes: &[u8], limit: u64) -> bool {
        for piece in bytes.split_inclusive(|byte| *byte == 0) {
            let (text, ended) = match piece.split_last() {
                Some((0, text)) => (text, true),
                _ => (piece, false),
            };
            self.entry.extend_from_slice(text);
            if self.entry.len() > PATH_LIMIT {
                self.odd = true;
                return false;
            }
            if ended {
                self.count();
                self.entry.clear();
            }
            if self.measured.files > FILES_LIMIT || self.measured.bytes > limit {
                return false;
            }
        }
        true
    }

    /// `<mode> <type> <object> <size>\t<path>`; the size of a submodule is `-`.
    fn count(&mut self) {
        let facts = self.entry.split(|byte| *byte == b'\t').next();
        let facts = String::from_utf8_lossy(facts.unwrap_or_default());
        let mut words = facts.split_ascii_whitespace();
        let (mode, size) = (words.next(), words.nth(2));
        self.measured.files = self.measured.files.saturating_add(1);
        match (mode, size.map(str::parse::<u64>)) {
            (Some("160000"), _) => self.measured.submodules += 1,
            (Some(_), Some(Ok(size))) => {
                self.measured.bytes = self.measured.bytes.saturating_add(size);
            }
            _ => self.odd = true,
        }
    }
}

/// Counts what a commit would check out; fails when it is beyond the bound.
pub(super) async fn measure(
    git: &Git,
    repo: &Path,
    commit: &str,
    limit: u64,
) -> Result<Measured, GitFailure> {
    let mut listing = Listing::default();
    let mut within = true;
    let arguments = ["ls-tree", "-r", "-l", "-z", "--full-tree", commit];
    let ran = git
        .each(repo, &arguments, |bytes| {
            within = listing.push(bytes, limit);
            within
        })
        .await?;
    if !within && listing.measured.files > FILES_LIMIT {
        return Err(GitFailure::new(
            "repository_too_large",
            format!("The commit has more than the {FILES_LIMIT} files that a workspace takes."),
        )
        .hint("Start from another commit, or use a smaller repository."));
    }
    if !within && !listing.odd {
        return Err(too_large(limit));
    }
    if listing.odd || !ran.ok() {
        return Err(ran.failure("checkout_failed", "git could not list the commit's files"));
    }
    Ok(listing.measured)
}

/// What of the checkout is not what it seems, for the conversation.
pub(super) async fn marks(
    git: &Git,
    repo: &Path,
    measured: Measured,
) -> Result<Vec<Mark>, GitFailure> {
    let mut marks = Vec::new();
    if measured.submodules > 0 {
        marks.push(Mark {
            code: "submodules_not_fetched",
            text: format!(
                "The repository has submodules ({}), which are not fetched: their folders are empty.",
                measured.submodules
            ),
        });
    }
    let (mut count, mut names, mut name) = (0_u64, Vec::new(), Vec::new());
    let ran = git
        .each(
            repo,
            &["ls-files", "-z", "--", ":(attr:filter=lfs)"],
            |bytes| {
                for byte in bytes {
                    if *byte != 0 {
                        name.push(*byte);
                        continue;
                    }
                    count += 1;
                    if names.len() < NAMES_TOLD {
                        names.push(crate::text::printable(&String::from_utf8_lossy(&name)));
                    }
                    name.clear();
                }
                true
            },
        )
        .await?;
    if ran.ok() && count > 0 {
        let more = if count > names.len() as u64 {
            ", …"
        } else {
            ""
        };
        marks.push(Mark {
            code: "lfs_not_fetched",
            text: format!(
                "Git LFS keeps {count} of the repository's files and is not used here: the checkout has \
                 their pointers, not their content, and what is changed in them is committed as it \
                 is ({}{more}).",
                names.join(", ")
            ),
        });
    }
    Ok(marks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listing_is_counted_whatever_its_pieces() {
        let listed = b"100644 blob 0123 10\ta\x00120000 blob 0123 4\tli\tnk\n\x00160000 commit 0123 -\tsub\x00";
        for piece in 1..listed.len() {
            let mut listing = Listing::default();
            assert!(listed.chunks(piece).all(|bytes| listing.push(bytes, 1000)));
            let expect = Measured {
                files: 3,
                bytes: 14,
                submodules: 1,
            };
            assert_eq!((listing.measured, listing.odd), (expect, false));
        }
    }

    #[test]
    fn counting_stops_at_the_bound() {
        let mut listing = Listing::default();
        let entry = b"100644 blob 0123 400\ta\0";
        assert!(listing.push(entry, 1000) && listing.push(entry, 1000));
        assert!(!listing.push(entry, 1000));
        let endless = vec![b'x'; PATH_LIMIT + 1];
        assert!(!Listing::default().push(&endless, 1000));
        let mut odd = Listing::default();
        assert!(odd.push(b"what\0", 1000) && odd.odd);
    }
}
