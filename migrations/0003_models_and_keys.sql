-- What administrators say of models, keys to model APIs, and whose access each agent uses.

-- What differs from the models that come with the product, as JSON in the form of the API.
CREATE TABLE model_changes (
  id TEXT PRIMARY KEY,
  change TEXT NOT NULL,
  updated_by TEXT NOT NULL REFERENCES users (id) ON DELETE RESTRICT ON UPDATE RESTRICT,
  updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE model_defaults (
  role TEXT PRIMARY KEY,
  model_id TEXT NOT NULL,
  updated_by TEXT NOT NULL REFERENCES users (id) ON DELETE RESTRICT ON UPDATE RESTRICT,
  updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Keys to model APIs, sealed with AES-256-GCM under the encryption key `key_id`. `owner_id` is a
-- project, a person, or `platform`.
CREATE TABLE credentials (
  id TEXT PRIMARY KEY,
  scope TEXT NOT NULL CHECK (scope IN ('project', 'user', 'platform')),
  owner_id TEXT NOT NULL,
  provider TEXT NOT NULL,
  active INTEGER NOT NULL CHECK (active IN (0, 1)),
  endpoint TEXT,
  account TEXT,
  key_id TEXT NOT NULL,
  sealed TEXT NOT NULL,
  checked TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  updated_by TEXT NOT NULL REFERENCES users (id) ON DELETE RESTRICT ON UPDATE RESTRICT,
  updated_at INTEGER NOT NULL,
  UNIQUE (scope, owner_id, provider)
) STRICT, WITHOUT ROWID;

-- Whose access to models an agent uses, by person; `owner_id` is a person, or `platform` for
-- everybody who did not choose.
CREATE TABLE agent_providers (
  owner_id TEXT NOT NULL,
  agent TEXT NOT NULL,
  mode TEXT NOT NULL CHECK (mode IN ('sam', 'own-key', 'own-login')),
  model_id TEXT,
  updated_at INTEGER NOT NULL,
  PRIMARY KEY (owner_id, agent)
) STRICT, WITHOUT ROWID;
