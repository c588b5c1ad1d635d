-- Several API keys, each with its own plan. A key is named by its fingerprint: no table holds the key itself.
-- NULL: reserved before keys were told apart; such a slot counts for every key.
ALTER TABLE requests ADD COLUMN key TEXT;

-- What each key is called in the configuration.
CREATE TABLE keys (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- No request with a key before `until`; key '': with any. `reason`: unless the API said that the quota has ended.
ALTER TABLE blocked RENAME TO blocked_for_all;
CREATE TABLE blocked (
    key TEXT PRIMARY KEY,
    since TEXT NOT NULL,
    until TEXT NOT NULL,
    reason TEXT
) STRICT, WITHOUT ROWID;
INSERT INTO blocked (key, since, until, reason) SELECT '', since, until, reason FROM blocked_for_all;
DROP TABLE blocked_for_all;
