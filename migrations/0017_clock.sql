-- The newest instant that the ledger's time is known to have reached, so that a wall clock that was set between two processes frees
-- no slots. `boot`, `uptime`: which start of the machine, and the seconds since it; NULL where the system does not say.
CREATE TABLE clock (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    at TEXT NOT NULL,
    boot TEXT,
    uptime REAL
) STRICT;
