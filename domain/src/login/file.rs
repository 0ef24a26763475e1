//! Login files: what they say, what an agent gets of one, and what a refresh makes of one.
//!
//! | agent | file | tokens |
//! |---|---|---|
//! | Codex | `~/.codex/auth.json` | `tokens.{id_token, access_token, refresh_token, account_id}`; the access token is a JWT that says when it ends |
//! | Claude Code | `~/.claude/.credentials.json` | `claudeAiOauth.{accessToken, refreshToken, expiresAt, scopes, subscriptionType}` |

use super::LoginKind;
use crate::budget::period::rfc3339;
use crate::time::{Millis, Timestamp};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

/// Longest login file, in bytes.
pub const LONGEST: usize = 64 * 1024;

/// Why a text is not a login.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoginError {
    /// It is too long, or not a JSON object.
    #[error("it is not a JSON object of at most 64 KiB")]
    NotAFile,
    /// It holds an API key and no login.
    #[error("it holds an API key, which `sam credential set` takes, and no subscription login")]
    ApiKey,
    /// It lacks the access token.
    #[error("it has no access token where this agent keeps one")]
    NoToken,
}

/// A login that was understood.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    kind: LoginKind,
    file: Value,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Login")
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

/// The names that a file of this kind has for its tokens.
const fn names(kind: LoginKind) -> (&'static str, &'static str, &'static str) {
    match kind {
        LoginKind::Codex => ("tokens", "access_token", "refresh_token"),
        LoginKind::Claude => ("claudeAiOauth", "accessToken", "refreshToken"),
    }
}

impl Login {
    /// Reads the agent's own file.
    ///
    /// # Errors
    /// When it is not a login of this agent.
    pub fn parse(kind: LoginKind, text: &str) -> Result<Self, LoginError> {
        if text.len() > LONGEST {
            return Err(LoginError::NotAFile);
        }
        let file: Value = serde_json::from_str(text).map_err(|_| LoginError::NotAFile)?;
        if !file.is_object() {
            return Err(LoginError::NotAFile);
        }
        let login = Self { kind, file };
        if login.access_token().is_empty() {
            let key = login.file.get("OPENAI_API_KEY").and_then(Value::as_str);
            return Err(match key {
                Some(key) if !key.is_empty() => LoginError::ApiKey,
                _ => LoginError::NoToken,
            });
        }
        Ok(login)
    }

    /// The whole file, for whoever seals it.
    #[must_use]
    pub fn text(&self) -> String {
        self.file.to_string()
    }

    fn tokens(&self) -> Option<&Map<String, Value>> {
        self.file.get(names(self.kind).0)?.as_object()
    }

    fn token(&self, name: &str) -> &str {
        let found = self.tokens().and_then(|tokens| tokens.get(name));
        found.and_then(Value::as_str).unwrap_or_default()
    }

    /// The access token.
    #[must_use]
    pub fn access_token(&self) -> &str {
        self.token(names(self.kind).1)
    }

    /// The refresh token, if there is one.
    #[must_use]
    pub fn refresh_token(&self) -> Option<&str> {
        Some(self.token(names(self.kind).2)).filter(|token| !token.is_empty())
    }

    /// When the access token ends, if that is known.
    #[must_use]
    pub fn expires_at(&self) -> Option<Timestamp> {
        match self.kind {
            LoginKind::Codex => {
                let claims = self.access_token().split('.').nth(1)?;
                let claims = URL_SAFE_NO_PAD.decode(claims.trim_end_matches('=')).ok()?;
                let claims = String::from_utf8(claims).ok()?;
                let claims: Value = serde_json::from_str(&claims).ok()?;
                let seconds = claims.get("exp")?.as_u64()?;
                Some(Timestamp(seconds.saturating_mul(1000)))
            }
            LoginKind::Claude => {
                let at = self.tokens()?.get("expiresAt")?;
                Some(Timestamp(at.as_u64()?)).filter(|at| at.0 > 0)
            }
        }
    }

    /// What the agent's own file is: the access token and what says whose it is, and nothing with
    /// which a further one could be had.
    #[must_use]
    pub fn for_agent(&self, now: Timestamp) -> String {
        let (group, _, refresh) = names(self.kind);
        let kept: &[&str] = match self.kind {
            LoginKind::Codex => &["id_token", "access_token", "account_id"],
            LoginKind::Claude => &[
                "accessToken",
                "expiresAt",
                "scopes",
                "subscriptionType",
                "rateLimitTier",
            ],
        };
        let tokens = kept.iter().filter_map(|name| {
            let value = self.tokens()?.get(*name)?;
            Some(((*name).to_owned(), value.clone()))
        });
        let mut tokens: Map<String, Value> = tokens.collect();
        // Both programs want the member, and ask nobody with an empty one.
        tokens.insert(refresh.to_owned(), json!(""));
        let mut file = Map::new();
        file.insert(group.to_owned(), Value::Object(tokens));
        if self.kind == LoginKind::Codex {
            file.insert("OPENAI_API_KEY".to_owned(), Value::Null);
            file.insert("last_refresh".to_owned(), json!(rfc3339(now)));
        }
        Value::Object(file).to_string()
    }

    /// What is sent to have the tokens refreshed, if that can be.
    #[must_use]
    pub fn refresh_request(&self) -> Option<Value> {
        let mut request = json!({
            "grant_type": "refresh_token",
            "client_id": self.kind.client_id(),
            "refresh_token": self.refresh_token()?,
        });
        if self.kind == LoginKind::Codex
            && let Some(request) = request.as_object_mut()
        {
            request.insert("scope".to_owned(), json!("openid profile email"));
        }
        Some(request)
    }

    /// The login with the tokens of a provider's answer. What the answer does not name stays: a
    /// provider that replaces no refresh token sends none.
    ///
    /// # Errors
    /// When the answer has no access token.
    pub fn refreshed(&self, answer: &Value, now: Timestamp) -> Result<Self, LoginError> {
        let said = |name: &str| {
            let value = answer.get(name).and_then(Value::as_str);
            value.filter(|value| !value.is_empty())
        };
        let access = said("access_token").ok_or(LoginError::NoToken)?;
        let (group, access_name, refresh_name) = names(self.kind);
        let mut tokens = self.tokens().cloned().unwrap_or_default();
        let mut put = |name: &str, value: Value| {
            tokens.insert(name.to_owned(), value);
        };
        put(access_name, json!(access));
        if let Some(refresh) = said("refresh_token") {
            put(refresh_name, json!(refresh));
        }
        match self.kind {
            LoginKind::Codex => {
                if let Some(id) = said("id_token") {
                    put("id_token", json!(id));
                }
            }
            LoginKind::Claude => {
                let seconds = answer.get("expires_in").and_then(Value::as_u64);
                let at = seconds.map(|seconds| now.plus(Millis::seconds(seconds)).0);
                put("expiresAt", json!(at));
            }
        }
        let mut login = self.clone();
        if let Some(file) = login.file.as_object_mut() {
            file.insert(group.to_owned(), Value::Object(tokens));
            if self.kind == LoginKind::Codex {
                file.insert("last_refresh".to_owned(), json!(rfc3339(now)));
            }
        }
        Ok(login)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: Timestamp = Timestamp(1_700_000_000_000);

    fn jwt(expires: u64) -> String {
        let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
        format!(
            "{}.{}.c2ln",
            part(json!({"alg": "RS256"})),
            part(json!({"exp": expires}))
        )
    }

    fn codex(access: &str, refresh: &str) -> String {
        json!({
            "OPENAI_API_KEY": null,
            "tokens": {"id_token": "id", "access_token": access, "refresh_token": refresh, "account_id": "acc", "more": 1},
            "last_refresh": "2026-01-01T00:00:00Z",
            "agent_identity": {"private_key": "no agent's"},
        })
        .to_string()
    }

    fn claude(access: &str, refresh: &str, expires: u64) -> String {
        json!({
            "claudeAiOauth": {"accessToken": access, "refreshToken": refresh, "expiresAt": expires,
                "scopes": ["user:inference"], "subscriptionType": "max"},
            "mcpOAuth": {"server": {"accessToken": "another's"}},
        })
        .to_string()
    }

    #[test]
    fn each_agents_file_is_read() {
        let login = Login::parse(LoginKind::Codex, &codex(&jwt(1_700_000_600), "r1")).unwrap();
        assert_eq!(login.refresh_token(), Some("r1"));
        assert_eq!(login.expires_at(), Some(Timestamp(1_700_000_600_000)));
        let login = Login::parse(LoginKind::Claude, &claude("a1", "r1", 5)).unwrap();
        assert_eq!(
            (login.access_token(), login.refresh_token()),
            ("a1", Some("r1"))
        );
        assert_eq!(login.expires_at(), Some(Timestamp(5)));
        // A token that does not say when it ends, and one without a way to the next.
        let login = Login::parse(LoginKind::Codex, &codex("opaque", "")).unwrap();
        assert_eq!((login.refresh_token(), login.expires_at()), (None, None));
        assert!(!format!("{login:?}").contains("opaque"));
    }

    #[test]
    fn what_is_no_login_of_the_agent_is_refused() {
        let key = r#"{"OPENAI_API_KEY":"sk-1","tokens":null}"#;
        let long = format!("{{\"a\":\"{}\"}}", "x".repeat(LONGEST));
        for (kind, text, why) in [
            (LoginKind::Codex, "sk-proj-1", LoginError::NotAFile),
            (LoginKind::Codex, "[]", LoginError::NotAFile),
            (LoginKind::Codex, &*long, LoginError::NotAFile),
            (LoginKind::Codex, key, LoginError::ApiKey),
            (LoginKind::Codex, &claude("a", "r", 1), LoginError::NoToken),
            (LoginKind::Claude, &codex("a", "r"), LoginError::NoToken),
            (LoginKind::Claude, "{}", LoginError::NoToken),
        ] {
            assert_eq!(Login::parse(kind, text), Err(why), "{kind:?} {text:.60}");
        }
    }

    #[test]
    fn an_agent_gets_its_access_token_and_nothing_more() {
        let login = Login::parse(LoginKind::Codex, &codex(&jwt(9), "refresh")).unwrap();
        let file: Value = serde_json::from_str(&login.for_agent(NOW)).unwrap();
        let expected = json!({
            "OPENAI_API_KEY": null, "last_refresh": "2023-11-14T22:13:20.000Z",
            "tokens": {"id_token": "id", "access_token": jwt(9), "account_id": "acc", "refresh_token": ""},
        });
        assert_eq!(file, expected);
        let login = Login::parse(LoginKind::Claude, &claude("access", "refresh", 5)).unwrap();
        let file: Value = serde_json::from_str(&login.for_agent(NOW)).unwrap();
        let expected = json!({"claudeAiOauth": {
            "accessToken": "access", "expiresAt": 5, "scopes": ["user:inference"],
            "subscriptionType": "max", "refreshToken": "",
        }});
        assert_eq!(file, expected);
    }

    #[test]
    fn a_refresh_replaces_what_the_provider_names() {
        let login = Login::parse(LoginKind::Claude, &claude("a1", "r1", 5)).unwrap();
        let request = login.refresh_request().unwrap();
        assert_eq!(request["refresh_token"], "r1");
        assert_eq!(request["client_id"], LoginKind::Claude.client_id());
        let answer = json!({"access_token": "a2", "refresh_token": "r2", "expires_in": 60});
        let next = login.refreshed(&answer, NOW).unwrap();
        assert_eq!(
            (next.access_token(), next.refresh_token()),
            ("a2", Some("r2"))
        );
        assert_eq!(next.expires_at(), Some(NOW.plus(Millis::seconds(60))));
        assert!(next.text().contains("another's"));

        let login = Login::parse(LoginKind::Codex, &codex("a1", "r1")).unwrap();
        let answer = json!({"access_token": jwt(77), "id_token": "id2"});
        let next = login.refreshed(&answer, NOW).unwrap();
        assert_eq!(next.refresh_token(), Some("r1"));
        assert_eq!(next.expires_at(), Some(Timestamp(77_000)));
        assert!(next.text().contains("id2") && next.text().contains("2023-11-14"));
        assert_eq!(
            login.refreshed(&json!({"error": "x"}), NOW),
            Err(LoginError::NoToken)
        );
    }

    proptest! {
        #[test]
        fn no_agent_ever_gets_a_refresh_token(
            access in "[a-z0-9]{1,20}", refresh in "R[0-9]{20}", next in "N[0-9]{20}", claude_kind: bool,
        ) {
            let kind = if claude_kind { LoginKind::Claude } else { LoginKind::Codex };
            let text = if claude_kind { claude(&access, &refresh, 9) } else { codex(&access, &refresh) };
            let login = Login::parse(kind, &text).unwrap();
            let answer = json!({"access_token": access, "refresh_token": next});
            for login in [login.clone(), login.refreshed(&answer, NOW).unwrap()] {
                let given = login.for_agent(NOW);
                prop_assert!(!given.contains(&refresh) && !given.contains(&next));
                prop_assert!(given.contains(&access));
            }
        }

        #[test]
        fn any_text_is_a_login_or_refused(text in "\\PC{0,60}") {
            for kind in [LoginKind::Codex, LoginKind::Claude] {
                let _ = Login::parse(kind, &text).map(|login| login.expires_at());
            }
        }
    }
}
