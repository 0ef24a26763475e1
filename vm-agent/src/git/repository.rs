//! What may name a repository, a branch and a base.

use super::GitFailure;
use std::path::Path;

const LIMIT: usize = 2000;

/// Refuses what is neither an http(s) URL nor an absolute path on this machine.
/// `private` is the vm-agent's own folder, from which nothing is cloned.
pub(super) fn check_repository(repository: &str, private: &Path) -> Result<(), GitFailure> {
    let refused = |why: &str| {
        Err(
            GitFailure::new("unsupported_repository", format!("The repository {why}."))
                .hint("Use an http(s) URL, or an absolute path on the machine that runs the work."),
        )
    };
    if repository.len() > LIMIT || repository.chars().any(char::is_control) {
        return refused("is not a name that git can take");
    }
    if repository.starts_with('/') {
        let path = Path::new(repository);
        let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        if real.starts_with(private) {
            return refused("lies in the vm-agent's own folder");
        }
        return Ok(());
    }
    match url::Url::parse(repository) {
        // It would lie in the checkout's configuration and on command lines.
        Ok(url) if !url.username().is_empty() || url.password().is_some() => {
            refused("carries a credential in its URL, which is not supported")
        }
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Ok(()),
        Ok(url) if matches!(url.scheme(), "ssh" | "git+ssh" | "ssh+git") => {
            refused("is reached by SSH, for which machines have no key")
        }
        Ok(_) | Err(_) => refused("is neither an http(s) URL nor an absolute path"),
    }
}

/// Whether git takes `name` as a branch, by the rules of `git check-ref-format`.
pub(super) fn is_branch_name(name: &str) -> bool {
    let bad =
        |c: char| c.is_control() || matches!(c, ' ' | '~' | '^' | ':' | '?' | '*' | '[' | '\\');
    !name.is_empty()
        && name.len() <= 200
        && name != "@"
        && name != "HEAD"
        && !name.starts_with('-')
        && !name.ends_with('.')
        && !name.contains("..")
        && !name.contains("@{")
        && !name.contains(bad)
        && name
            .split('/')
            .all(|part| !part.is_empty() && !part.starts_with('.') && !part.ends_with(".lock"))
}

/// Whether `base` can name a branch, a tag or a commit, and nothing else.
pub(super) fn is_base_name(base: &str) -> bool {
    is_branch_name(base)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_http_urls_and_absolute_paths_are_repositories() {
        let check =
            |repository: &str| check_repository(repository, Path::new("/srv/state")).is_ok();
        for good in [
            "https://host.example/a/b.git",
            "http://127.0.0.1:8080/a",
            "/home/me/project",
        ] {
            assert!(check(good), "{good}");
        }
        for bad in [
            "",
            "project",
            "./project",
            "../project",
            "-oProxyCommand=x",
            "--upload-pack=touch /tmp/x",
            "ssh://host/x",
            "git@host:x",
            "host:x",
            "git://host/x",
            "file:///etc",
            "ext::sh -c touch%20/tmp/x",
            "https://",
            "https://user:password@host.example/x",
            "https://token@host.example/x",
            "/with\nnewline",
            "/srv/state/workspaces/wsp_x/repo",
        ] {
            assert!(!check(bad), "{bad}");
        }
    }

    #[test]
    fn branch_names_follow_gits_rules() {
        for good in ["main", "sam/fix-the-sum-3f9", "v1.0", "ünïcode"] {
            assert!(is_branch_name(good), "{good}");
        }
        for bad in [
            "", "-x", "a..b", "a b", "a:b", "a~1", "a^", "/a", "a/", "a//b", ".a", "a.lock",
            "a/.b", "@", "HEAD", "a@{1}", "a\\b", "a.",
        ] {
            assert!(!is_branch_name(bad), "{bad}");
        }
    }
}
