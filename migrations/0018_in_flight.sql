-- Runs without limits, whose slots are written after their requests: up to `requests` may have left that are not in the ledger.
-- The row is deleted when the run ends; of a killed one, that many count.
CREATE TABLE in_flight (
    run_id INTEGER NOT NULL REFERENCES runs (id),
    key TEXT NOT NULL,
    since TEXT NOT NULL,
    requests INTEGER NOT NULL,
    PRIMARY KEY (run_id, key)
) STRICT, WITHOUT ROWID;
