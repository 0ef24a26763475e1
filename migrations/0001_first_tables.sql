-- People, what signs them in, projects, and the cross-project index.
-- Migrations only add. Every reference restricts: nothing is removed by removing something else.
-- Times are milliseconds since 1970; ids and hashes are text; `rev` grows with each version of the
-- thing a row was written from.

CREATE TABLE users (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  role TEXT NOT NULL CHECK (role IN ('admin', 'member')),
  created_at INTEGER NOT NULL
) STRICT;

-- The one row that says who claimed this installation.
CREATE TABLE installation (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  claimed_by TEXT NOT NULL REFERENCES users (id) ON DELETE RESTRICT ON UPDATE RESTRICT,
  claimed_at INTEGER NOT NULL
) STRICT;

-- Signed-in browsers and command lines, by the HMAC of their token.
CREATE TABLE auth_sessions (
  token_hash TEXT PRIMARY KEY,
  handle TEXT NOT NULL,
  user_id TEXT NOT NULL REFERENCES users (id) ON DELETE RESTRICT ON UPDATE RESTRICT,
  client TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  revoked_at INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX auth_sessions_by_user ON auth_sessions (user_id, created_at);

-- Single-use sign-in links, by the HMAC of their secret.
CREATE TABLE sign_in_links (
  token_hash TEXT PRIMARY KEY,
  user_id TEXT NOT NULL REFERENCES users (id) ON DELETE RESTRICT ON UPDATE RESTRICT,
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  redeemed_at INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE projects (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  owner_id TEXT NOT NULL REFERENCES users (id) ON DELETE RESTRICT ON UPDATE RESTRICT,
  repository TEXT NOT NULL,
  default_agent TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  archived_at INTEGER
) STRICT;

CREATE TABLE project_members (
  project_id TEXT NOT NULL REFERENCES projects (id) ON DELETE RESTRICT ON UPDATE RESTRICT,
  user_id TEXT NOT NULL REFERENCES users (id) ON DELETE RESTRICT ON UPDATE RESTRICT,
  role TEXT NOT NULL CHECK (role IN ('viewer', 'contributor', 'maintainer', 'owner')),
  created_at INTEGER NOT NULL,
  PRIMARY KEY (project_id, user_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX project_members_by_user ON project_members (user_id);

-- Tokens with which a machine joins its owner, by their HMAC.
CREATE TABLE join_tokens (
  token_hash TEXT PRIMARY KEY,
  owner_id TEXT NOT NULL REFERENCES users (id) ON DELETE RESTRICT ON UPDATE RESTRICT,
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  redeemed_at INTEGER,
  store_id TEXT,
  node_id TEXT
) STRICT, WITHOUT ROWID;

-- Where a task is; its own object is the record.
CREATE TABLE task_index (
  id TEXT PRIMARY KEY,
  project_id TEXT NOT NULL REFERENCES projects (id) ON DELETE RESTRICT ON UPDATE RESTRICT,
  session_id TEXT NOT NULL,
  created_by TEXT NOT NULL REFERENCES users (id) ON DELETE RESTRICT ON UPDATE RESTRICT,
  title TEXT NOT NULL,
  state TEXT NOT NULL,
  rev INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  since INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX task_index_by_project ON task_index (project_id, id);
CREATE INDEX task_index_by_session ON task_index (session_id);

-- Where a node is; its own object is the record.
CREATE TABLE node_index (
  id TEXT PRIMARY KEY,
  owner_id TEXT NOT NULL REFERENCES users (id) ON DELETE RESTRICT ON UPDATE RESTRICT,
  name TEXT NOT NULL,
  state TEXT NOT NULL,
  rev INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX node_index_by_owner ON node_index (owner_id, created_at);
