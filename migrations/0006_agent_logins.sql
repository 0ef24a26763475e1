-- Subscription logins of coding agents, sealed with AES-256-GCM under the encryption key `key_id`.
-- `version` grows with each login that is stored and each refresh; `tried_at` is when a refresh was
-- begun that has not succeeded; `refused` says that the provider does not take it any more.
CREATE TABLE agent_logins (
  user_id TEXT NOT NULL REFERENCES users (id) ON DELETE RESTRICT ON UPDATE RESTRICT,
  agent TEXT NOT NULL,
  version INTEGER NOT NULL,
  key_id TEXT NOT NULL,
  sealed TEXT NOT NULL,
  expires_at INTEGER,
  renewable INTEGER NOT NULL CHECK (renewable IN (0, 1)),
  tried_at INTEGER,
  refused INTEGER NOT NULL CHECK (refused IN (0, 1)),
  updated_at INTEGER NOT NULL,
  PRIMARY KEY (user_id, agent)
) STRICT, WITHOUT ROWID;
