//! What an installation can be set to: the control plane's variables and secrets.
//!
//! Model: one table. The Worker reads settings by these names, the local server
//! passes them on, and the reference page is printed from here, so that a
//! setting without a meaning and a default cannot be added.
//!
//! Options of the native programs are their own; their help says them.

use crate::link::frame::LEASE;
use crate::time::Millis;

/// The HMAC key of every token, at least 32 characters.
pub const SAM_SECRET: &str = "SAM_SECRET";
/// The one-time claim token.
pub const SAM_CLAIM_TOKEN: &str = "SAM_CLAIM_TOKEN";
/// Where people reach this installation; taken from the request when unset.
pub const SAM_PUBLIC_URL: &str = "SAM_PUBLIC_URL";
/// Base of the model endpoint, `/v1` included, or an AI Gateway endpoint.
pub const SAM_MODEL_URL: &str = "SAM_MODEL_URL";
/// Key sent to the model endpoint.
pub const SAM_MODEL_KEY: &str = "SAM_MODEL_KEY";
/// Default model id.
pub const SAM_MODEL: &str = "SAM_MODEL";
/// How the key travels: `authorization`, `cf-aig-authorization`, `x-api-key` or `none`.
pub const SAM_MODEL_AUTH: &str = "SAM_MODEL_AUTH";
/// The dialects that the model endpoint speaks, the preferred one first.
pub const SAM_MODEL_DIALECTS: &str = "SAM_MODEL_DIALECTS";
/// `scripted` for the stand-in gateway, else `real`; interfaces label the model by it.
pub const SAM_MODEL_KIND: &str = "SAM_MODEL_KIND";
/// For how long the model endpoint may say nothing, in seconds.
pub const SAM_MODEL_SILENCE: &str = "SAM_MODEL_SILENCE";
/// The Cloudflare account of the AI Gateway.
pub const SAM_CLOUDFLARE_ACCOUNT: &str = "SAM_CLOUDFLARE_ACCOUNT";
/// The Cloudflare token with which the AI Gateway is called, and Workers AI through it.
pub const SAM_CLOUDFLARE_TOKEN: &str = "SAM_CLOUDFLARE_TOKEN";
/// The AI Gateway's id.
pub const SAM_AI_GATEWAY: &str = "SAM_AI_GATEWAY";
/// Base of all AI Gateways.
pub const SAM_AI_GATEWAY_URL: &str = "SAM_AI_GATEWAY_URL";
/// Base of Cloudflare's API.
pub const SAM_CLOUDFLARE_URL: &str = "SAM_CLOUDFLARE_URL";
/// The encryption keys of stored keys, the present one first.
pub const SAM_CREDENTIAL_KEYS: &str = "SAM_CREDENTIAL_KEYS";
/// How long a machine's link may be silent, in seconds; see [`lease`].
pub const SAM_LINK_LEASE: &str = "SAM_LINK_LEASE";

/// Where logins of Codex are refreshed.
pub const SAM_CODEX_TOKEN_URL: &str = "SAM_CODEX_TOKEN_URL";
/// Where logins of Claude Code are refreshed.
pub const SAM_CLAUDE_TOKEN_URL: &str = "SAM_CLAUDE_TOKEN_URL";
/// The id of the OAuth app on GitHub with which people sign in.
pub const SAM_GITHUB_CLIENT_ID: &str = "SAM_GITHUB_CLIENT_ID";
/// Its secret.
pub const SAM_GITHUB_CLIENT_SECRET: &str = "SAM_GITHUB_CLIENT_SECRET";
/// Where GitHub's pages are.
pub const SAM_GITHUB_URL: &str = "SAM_GITHUB_URL";
/// Where GitHub's API is.
pub const SAM_GITHUB_API_URL: &str = "SAM_GITHUB_API_URL";
/// Whether people whom nobody invited may come: `invite`, `approval` or `open`.
pub const SAM_SIGN_UP: &str = "SAM_SIGN_UP";

/// The settings that administrators may also set in the app, those of signing in with GitHub. What the
/// environment sets wins.
pub const KEPT: [&str; 3] = [SAM_GITHUB_CLIENT_ID, SAM_GITHUB_CLIENT_SECRET, SAM_SIGN_UP];

/// One setting of the control plane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Its name, as a variable.
    pub name: &'static str,
    /// What it decides, for people.
    pub meaning: &'static str,
    /// What holds when it is not set.
    pub default: &'static str,
    /// Whether it must never be shown.
    pub secret: bool,
}

/// Every setting, in the order in which people meet them.
pub const SETTINGS: &[Setting] = &[
    Setting {
        name: SAM_MODEL_URL,
        meaning: "base address of an OpenAI-compatible API, with its version path, or an AI Gateway; https except on loopback",
        default: "none: tasks fail and say so",
        secret: false,
    },
    Setting {
        name: SAM_MODEL_KEY,
        meaning: "the key for it",
        default: "none",
        secret: true,
    },
    Setting {
        name: SAM_MODEL,
        meaning: "the model's id",
        default: "none",
        secret: false,
    },
    Setting {
        name: SAM_MODEL_AUTH,
        meaning: "where the key goes: `authorization`, `cf-aig-authorization`, `x-api-key`, or `none`",
        default: "`authorization`",
        secret: false,
    },
    Setting {
        name: SAM_MODEL_DIALECTS,
        meaning: "what it speaks: `chat`, `responses`, `messages`, or several of them with commas, the preferred one first; clients that speak otherwise are translated",
        default: "`chat`",
        secret: false,
    },
    Setting {
        name: SAM_MODEL_KIND,
        meaning: "`scripted` for the stand-in, which is then labelled everywhere",
        default: "`real`",
        secret: false,
    },
    Setting {
        name: SAM_MODEL_SILENCE,
        meaning: "for how long the model endpoint may say nothing, before its answer or within it, until the call is ended, in seconds from 1 to 3600",
        default: "600",
        secret: false,
    },
    Setting {
        name: SAM_CLOUDFLARE_ACCOUNT,
        meaning: "the Cloudflare account whose AI Gateway reaches Workers AI, OpenAI, Anthropic and others with one token; `scripts/deploy/configure-ai-gateway` makes the gateway",
        default: "none: no gateway",
        secret: false,
    },
    Setting {
        name: SAM_CLOUDFLARE_TOKEN,
        meaning: "a token of that account for AI Gateway and Workers AI",
        default: "none",
        secret: true,
    },
    Setting {
        name: SAM_AI_GATEWAY,
        meaning: "the gateway's id",
        default: "`sam`",
        secret: false,
    },
    Setting {
        name: SAM_AI_GATEWAY_URL,
        meaning: "where gateways are; https except on loopback",
        default: "Cloudflare's",
        secret: false,
    },
    Setting {
        name: SAM_CLOUDFLARE_URL,
        meaning: "where Cloudflare's API is, with its version path; https except on loopback",
        default: "Cloudflare's",
        secret: false,
    },
    Setting {
        name: SAM_CREDENTIAL_KEYS,
        meaning: "what stored keys are encrypted with: `id:key`, or several with commas, the present one first; a key is 32 bytes in base64url. `sam admin rotate-key` moves what is stored under another to the present one",
        default: "one that is derived from SAM_SECRET, with the id `secret`",
        secret: true,
    },
    Setting {
        name: SAM_PUBLIC_URL,
        meaning: "the address that sign-in links name, if it is not the one asked",
        default: "the one asked",
        secret: false,
    },
    Setting {
        name: SAM_GITHUB_CLIENT_ID,
        meaning: "the id of the OAuth app on GitHub with which people sign in; its callback is `/api/auth/github/callback`",
        default: "none: nobody signs in with GitHub",
        secret: false,
    },
    Setting {
        name: SAM_GITHUB_CLIENT_SECRET,
        meaning: "its secret",
        default: "none",
        secret: true,
    },
    Setting {
        name: SAM_GITHUB_URL,
        meaning: "where GitHub's pages are; https except on loopback",
        default: "`https://github.com`",
        secret: false,
    },
    Setting {
        name: SAM_GITHUB_API_URL,
        meaning: "where GitHub's API is; https except on loopback",
        default: "`https://api.github.com`",
        secret: false,
    },
    Setting {
        name: SAM_SIGN_UP,
        meaning: "whether people whom nobody invited may come with GitHub: `invite` for no, `approval` for once an administrator lets them in, `open` for yes",
        default: "`invite`",
        secret: false,
    },
    Setting {
        name: SAM_CODEX_TOKEN_URL,
        meaning: "where subscription logins of Codex are refreshed; https except on loopback",
        default: "OpenAI's",
        secret: false,
    },
    Setting {
        name: SAM_CLAUDE_TOKEN_URL,
        meaning: "where subscription logins of Claude Code are refreshed; https except on loopback",
        default: "Anthropic's",
        secret: false,
    },
    Setting {
        name: SAM_LINK_LEASE,
        meaning: "how long a machine's link may be silent before the machine counts as away, in seconds from 3 to 3600; machines ping three times as often",
        default: "90",
        secret: false,
    },
    Setting {
        name: SAM_SECRET,
        meaning: "key of every token, 32 characters or more. Made by the local server",
        default: "required",
        secret: true,
    },
    Setting {
        name: SAM_CLAIM_TOKEN,
        meaning: "what the first person claims the installation with. Made by the local server",
        default: "required",
        secret: true,
    },
];

/// The lease that a value of [`SAM_LINK_LEASE`] means; the standard one when it is not set or
/// means none.
#[must_use]
pub fn lease(value: Option<&str>) -> Millis {
    value
        .and_then(|text| text.trim().parse().ok())
        .filter(|seconds| (3..=3600).contains(seconds))
        .map_or(LEASE, Millis::seconds)
}

/// The table as Markdown.
#[must_use]
pub fn table() -> String {
    let mut page = String::from("| setting | meaning | default |\n|---|---|---|\n");
    for setting in SETTINGS {
        let secret = if setting.secret { "; a secret" } else { "" };
        let kept = if KEPT.contains(&setting.name) {
            "; also in the app"
        } else {
            ""
        };
        page.push_str(&format!(
            "| `{}` | {}{secret}{kept} | {} |\n",
            setting.name, setting.meaning, setting.default
        ));
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_is_within_reason_or_the_standard_one() {
        assert_eq!(lease(Some("6")), Millis::seconds(6));
        for none in [
            None,
            Some(""),
            Some("soon"),
            Some("0"),
            Some("-5"),
            Some("86400"),
        ] {
            assert_eq!(lease(none), LEASE, "{none:?}");
        }
    }

    #[test]
    fn forty_settings_are_the_most() {
        assert!(SETTINGS.len() <= 40);
        let mut names: Vec<_> = SETTINGS.iter().map(|setting| setting.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), SETTINGS.len());
    }
}
