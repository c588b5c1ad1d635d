-- The universe as it was: when each symbol was in the configured list, from `since` to before `until` (NULL: it still is).
-- `configuration`: the file that listed it, by its absolute path; empty: there was none, only variables.
-- The key's columns come first: otherwise SQLite 3.40 finds NULLs in them (PRAGMA quick_check) that are not there.
CREATE TABLE universe (
    symbol TEXT NOT NULL,
    since TEXT NOT NULL,
    configuration TEXT NOT NULL,
    until TEXT,
    PRIMARY KEY (symbol, since, configuration)
) STRICT, WITHOUT ROWID;

-- Nobody noted the list until now. What is known of it: a symbol that runs requested was wanted from the first request to the
-- last. The first run that sees a list goes on with those of its symbols.
INSERT INTO universe (symbol, since, until, configuration)
SELECT symbol, min(at), strftime('%Y-%m-%dT%H:%M:%fZ', max(at), '+0.001 seconds'), 'requests'
  FROM outcomes
 GROUP BY symbol;
