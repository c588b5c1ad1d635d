-- Backups that were made of this database, as far as it could be written to then.
CREATE TABLE backups (
    at TEXT NOT NULL,
    file TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    PRIMARY KEY (at, file)
) STRICT, WITHOUT ROWID;
