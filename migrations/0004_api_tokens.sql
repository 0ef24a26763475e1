-- Tokens for scripts, and what a session was opened with.

-- API tokens, by the HMAC of their secret. `scopes` has spaces between its words.
CREATE TABLE api_tokens (
  id TEXT PRIMARY KEY,
  token_hash TEXT NOT NULL UNIQUE,
  user_id TEXT NOT NULL REFERENCES users (id) ON DELETE RESTRICT ON UPDATE RESTRICT,
  name TEXT NOT NULL,
  scopes TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  expires_at INTEGER,
  last_used_at INTEGER,
  revoked_at INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX api_tokens_by_user ON api_tokens (user_id, created_at);

-- What a session may do; NULL for everything that its person may.
ALTER TABLE auth_sessions ADD COLUMN scopes TEXT;
-- The API token that opened it, and with which it ends.
ALTER TABLE auth_sessions ADD COLUMN api_token_id TEXT REFERENCES api_tokens (id) ON DELETE RESTRICT ON UPDATE RESTRICT;
ALTER TABLE auth_sessions ADD COLUMN user_agent TEXT;
CREATE INDEX auth_sessions_by_api_token ON auth_sessions (api_token_id) WHERE api_token_id IS NOT NULL;
