-- Who may come in, who is shut out, whose machine works for whom, and who changed any of it.

ALTER TABLE users ADD COLUMN suspended_at INTEGER;
-- A person who was removed stays as the author of what they wrote.
ALTER TABLE users ADD COLUMN removed_at INTEGER;

-- Single-use invites for new people, by the HMAC of their secret.
CREATE TABLE invites (
  token_hash TEXT PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  role TEXT NOT NULL CHECK (role IN ('admin', 'member')),
  note TEXT,
  created_by TEXT NOT NULL REFERENCES users (id) ON DELETE RESTRICT ON UPDATE RESTRICT,
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  redeemed_at INTEGER,
  redeemed_by TEXT REFERENCES users (id) ON DELETE RESTRICT ON UPDATE RESTRICT,
  revoked_at INTEGER
) STRICT, WITHOUT ROWID;

-- Which machine takes which project's tasks beside its owner's. The machine's own object is the
-- record; this is where a task's pool is looked up.
CREATE TABLE node_shares (
  node_id TEXT NOT NULL,
  project_id TEXT NOT NULL REFERENCES projects (id) ON DELETE RESTRICT ON UPDATE RESTRICT,
  owner_id TEXT NOT NULL REFERENCES users (id) ON DELETE RESTRICT ON UPDATE RESTRICT,
  created_at INTEGER NOT NULL,
  PRIMARY KEY (node_id, project_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX node_shares_by_project ON node_shares (project_id, created_at);

CREATE TABLE audit_log (
  n INTEGER PRIMARY KEY,
  at INTEGER NOT NULL,
  actor_id TEXT NOT NULL REFERENCES users (id) ON DELETE RESTRICT ON UPDATE RESTRICT,
  action TEXT NOT NULL,
  subject TEXT NOT NULL,
  project_id TEXT REFERENCES projects (id) ON DELETE RESTRICT ON UPDATE RESTRICT,
  detail TEXT
) STRICT;

CREATE INDEX task_index_by_person ON task_index (created_by, id);
