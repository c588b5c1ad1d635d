-- How far this record has the log of a fleet, which it follows; without a row it collects for itself.
-- `timeline`: the life of the PostgreSQL server that the log was read from. `seq`: the last entry that is in the record.
CREATE TABLE followed (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    fleet TEXT NOT NULL,
    timeline INTEGER NOT NULL,
    seq INTEGER NOT NULL
) STRICT;
