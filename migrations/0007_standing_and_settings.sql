-- What changed about a person since they signed in, and what is set in the app.

-- Since when a person's role is theirs: older sessions are exchanged before they use a new one.
ALTER TABLE users ADD COLUMN role_changed_at INTEGER;
-- Since when who came by themselves waits to be let in; they are suspended for so long.
ALTER TABLE users ADD COLUMN waits_since INTEGER;

-- What administrators set in the app, sealed as keys are. What the environment sets, wins.
CREATE TABLE settings (
  name TEXT PRIMARY KEY,
  key_id TEXT NOT NULL,
  sealed TEXT NOT NULL,
  updated_by TEXT NOT NULL REFERENCES users (id) ON DELETE RESTRICT ON UPDATE RESTRICT,
  updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
