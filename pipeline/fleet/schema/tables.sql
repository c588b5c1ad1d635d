-- The fleet's tables: what several machines share. Every instant is PostgreSQL's clock.
-- Procrastinate's tables, with the jobs for batches, are beside them in the schema public.

CREATE SCHEMA fleet;

-- One row: which fleet this is. A follower's file names the id, so that it never follows another one.
CREATE TABLE fleet.about (
    one int PRIMARY KEY DEFAULT 1 CHECK (one = 1),
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    version int NOT NULL,                       -- of this schema
    functions text,                             -- a digest of the scripts that its functions were made by
    procrastinate text,                         -- the last of Procrastinate's migrations that its tables have
    -- The server and the table: a dump that is restored has others. A standby, and a server restored from its files, the same.
    place text NOT NULL DEFAULT (pg_control_system()).system_identifier || '/' || to_regclass('fleet.log')::oid,
    begun_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- What all members have to agree about: JSON as `fleet.agreement` in Python writes it.
CREATE TABLE fleet.agreed (
    one int PRIMARY KEY DEFAULT 1 CHECK (one = 1),
    settings text NOT NULL,
    member text NOT NULL,
    at timestamptz NOT NULL
);

-- Machines. A member that stopped in order has left_at; one that died has an old beat_at.
CREATE TABLE fleet.members (
    name text PRIMARY KEY,
    instance uuid NOT NULL,                     -- of the process: two processes of one name are found by it
    role text NOT NULL CHECK (role IN ('member', 'follower', 'collector')),  -- collector: for one run of its own
    version text NOT NULL,
    keys text[] NOT NULL DEFAULT '{}',          -- ids of the keys that it holds
    started_at timestamptz NOT NULL,
    beat_at timestamptz NOT NULL,
    left_at timestamptz,
    clock_ahead interval NOT NULL,              -- its wall clock less PostgreSQL's
    followed bigint NOT NULL DEFAULT 0,         -- its file had the log up to here at beat_at,
    head bigint NOT NULL DEFAULT 0,             -- and the log went up to here
    symbols int,                                -- how many its configuration lists, and a digest of them
    symbols_digest text,
    trouble text,                               -- what keeps it from working, in one line
    disagreed boolean NOT NULL DEFAULT false    -- it left for what had been agreed: when restarted, it replaces nothing
) WITH (fillfactor = 50);

-- Tasks that one member at a time does, such as sending alerts.
CREATE TABLE fleet.leases (
    task text PRIMARY KEY,
    member text NOT NULL,
    until timestamptz NOT NULL
) WITH (fillfactor = 50);

-- A timeline is one life of the PostgreSQL server: a standby that takes over begins another, and so does a dump that is
-- restored. Either may have lost the end of the log. Followers then read again from first_seq.
CREATE TABLE fleet.timelines (
    timeline int PRIMARY KEY,
    first_seq bigint NOT NULL,
    began_at timestamptz NOT NULL
);

CREATE TABLE fleet.keys (
    id text PRIMARY KEY,                        -- a fingerprint; the key itself is in no database
    name text NOT NULL,
    last_at timestamptz,                        -- of the last slot: time does not go back, whatever the server's does
    timeline int,                               -- of the server that gave the last slot: another may have forgotten some
    -- The quota has ended, as the API said: nothing before blocked_until, and then one request alone.
    blocked_since timestamptz,
    blocked_until timestamptz,
    blocked_by text,                            -- the reason, if it is not the API's word
    block_covers bigint NOT NULL DEFAULT 0,     -- the last slot when it was set: refusals of earlier ones say nothing new
    -- The API throttles: nothing before paused_until, and then one request alone.
    paused_since timestamptz,
    paused_until timestamptz,
    pauses int NOT NULL DEFAULT 0,              -- in a row
    covers bigint NOT NULL DEFAULT 0,           -- the last slot before the last pause or block: none up to it may be sent
    goes_alone boolean NOT NULL DEFAULT false,  -- since a pause or block no answer has come: one request at a time
    probe bigint                                -- the slot of that request
) WITH (fillfactor = 10);

CREATE TABLE fleet.limits (
    key_id text NOT NULL REFERENCES fleet.keys,
    count int NOT NULL,
    period interval NOT NULL,                   -- in hours, not days: those have 23 or 25 hours in some zones
    is_for_retries boolean NOT NULL DEFAULT false,  -- the share of the day's allowance that retries may use
    PRIMARY KEY (key_id, period, is_for_retries),
    CHECK (count > 0 OR is_for_retries AND count = 0)
);

CREATE TABLE fleet.slots (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    key_id text NOT NULL,
    run_id bigint,
    symbol text NOT NULL,
    member text NOT NULL,
    retry boolean NOT NULL,
    reserved_at timestamptz NOT NULL,
    deadline_at timestamptz NOT NULL,           -- by which its request has ended: until it is closed, it counts from then
    finished_at timestamptz,
    outcome text,
    holder uuid,                                -- of the process that took it
    counts_from timestamptz GENERATED ALWAYS AS (
        CASE WHEN outcome IS DISTINCT FROM 'unsent' THEN coalesce(finished_at, deadline_at) END) STORED
);
CREATE INDEX slots_counting ON fleet.slots (key_id, counts_from DESC) WHERE counts_from IS NOT NULL;
CREATE UNIQUE INDEX slots_open ON fleet.slots (symbol) WHERE finished_at IS NULL;  -- one request out for a symbol

-- Since when each schedule is in force.
CREATE TABLE fleet.schedules (
    schedule text PRIMARY KEY,
    since timestamptz NOT NULL
);

CREATE TABLE fleet.runs (
    id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    trigger text NOT NULL,
    schedule text,
    scheduled_for timestamptz,
    started_at timestamptz,
    finished_at timestamptz,
    status text NOT NULL,
    symbols int NOT NULL DEFAULT 0,
    due int NOT NULL DEFAULT 0,
    observed_since timestamptz,                 -- a symbol observed since then is done already
    requests int NOT NULL DEFAULT 0,
    seconds double precision,
    detail text,
    uncovered int NOT NULL DEFAULT 0,
    stored int NOT NULL DEFAULT 0,              -- how many symbols ended how: counted when the run ends
    unchanged int NOT NULL DEFAULT 0,
    unknown int NOT NULL DEFAULT 0,
    failed int NOT NULL DEFAULT 0,
    rejected int NOT NULL DEFAULT 0,
    deferred int NOT NULL DEFAULT 0,            -- also those that were not requested, which have no row in outcomes
    member text NOT NULL,                       -- who began it
    instance uuid,                              -- set for a run that its member does alone, without batches
    halted_as text,                             -- a status: its batches are to end now, for this reason, unless it is
    halted_by text,                             -- quota_exhausted: then those that have another key go on
    key_refused boolean NOT NULL DEFAULT false,
    reported boolean NOT NULL DEFAULT false     -- whether a member has sent what is to be sent about its end
);
CREATE INDEX runs_unreported ON fleet.runs (id) WHERE NOT reported;
CREATE INDEX runs_running ON fleet.runs (id) WHERE status = 'running';
CREATE INDEX runs_by_fire_time ON fleet.runs (schedule, scheduled_for, id);  -- runs are kept for good
-- Each fire time once, and no two runs for it at a time.
CREATE UNIQUE INDEX runs_fire_times ON fleet.runs (schedule, scheduled_for) WHERE trigger IN ('schedule', 'catch_up');
CREATE UNIQUE INDEX runs_active ON fleet.runs (schedule) WHERE status = 'running' AND schedule IS NOT NULL;

CREATE TABLE fleet.batches (
    run_id bigint NOT NULL REFERENCES fleet.runs,
    number int NOT NULL,
    symbols text[] NOT NULL,
    done_at timestamptz,
    PRIMARY KEY (run_id, number)
);

-- How each symbol ended in a run. Kept as long as outcomes are kept.
CREATE TABLE fleet.outcomes (
    run_id bigint NOT NULL,
    symbol text NOT NULL,
    outcome text NOT NULL,
    attempts int NOT NULL,
    at timestamptz NOT NULL,
    member text NOT NULL,
    detail text,
    PRIMARY KEY (run_id, symbol)
);

-- What is known of each symbol: the columns are those of the table symbols of a record.
CREATE TABLE fleet.symbols (
    symbol text PRIMARY KEY,
    last_look timestamptz,
    last_overview timestamptz,
    last_try timestamptz,
    next_try timestamptz,
    uncovered_since timestamptz,                -- the first {} after the last overview; NULL: covered
    misses int NOT NULL DEFAULT 0,              -- how many {} since then delay the next request
    digest bytea,                               -- of the last overview, and the entry of the log that has its body
    seq bigint
) WITH (fillfactor = 70);

-- The last configured list in the log, so that only one that differs is logged.
CREATE TABLE fleet.listed (
    one int PRIMARY KEY DEFAULT 1 CHECK (one = 1),
    digest bytea NOT NULL
);

-- The log: all that followers have to know, append only, without gaps, in the order of commits. Kinds:
--   answer     an overview; body is the document, or same_as the seq of an equal one of the symbol before
--   uncovered  the API does not cover the symbol
--   outcome    how a symbol ended in a run; body: {"outcome", "attempts", "detail"}. Answers have one of their own.
--   run        a run began, ended or was missed; body: its columns, as fleet.runs has them
--   schedules  the schedules in force; body: {schedule: since}
--   symbols    the configured list; body as `fleet.entries` writes it
CREATE TABLE fleet.log (
    seq bigint PRIMARY KEY,
    kind text NOT NULL,
    at timestamptz NOT NULL,
    symbol text,
    run_id bigint,
    slot_id bigint,
    attempts int,
    same_as bigint,
    body text                                   -- text, not jsonb: that would lose the order of keys
) WITH (toast_tuple_target = 512);
DO $$ BEGIN
    ALTER TABLE fleet.log ALTER COLUMN body SET COMPRESSION lz4;
EXCEPTION WHEN feature_not_supported THEN NULL;  -- a server that was built without it compresses more slowly
END $$;
CREATE UNIQUE INDEX log_slots ON fleet.log (slot_id) WHERE kind IN ('answer', 'uncovered');  -- one answer a request
CREATE INDEX log_runs ON fleet.log (seq) WHERE kind = 'run';  -- followers that go back look for the last one: it may be far

-- The last seq. Who appends holds its row until the commit: so seq has no gaps, and its order is that of commits.
CREATE TABLE fleet.log_head (
    one int PRIMARY KEY DEFAULT 1 CHECK (one = 1),
    seq bigint NOT NULL,
    timeline int                                -- of the server that appended it
) WITH (fillfactor = 10);
INSERT INTO fleet.log_head (seq) VALUES (0);

-- How far records of single machines have been imported, so that an import that was cut short is resumed.
CREATE TABLE fleet.imports (
    record text PRIMARY KEY,                    -- when it was begun: copies of one record have the same
    begun_at timestamptz NOT NULL,
    is_whole boolean NOT NULL,                  -- with its runs and their ids: the fleet had none
    last_run bigint NOT NULL,                   -- of the record
    first_seq bigint NOT NULL,                  -- of the log, when it began
    entries bigint NOT NULL DEFAULT 0,          -- how many it has added
    upto text NOT NULL DEFAULT '',              -- the last part of it that is in the log
    finished_at timestamptz,
    follow_from bigint                          -- how far the record had the log then
);
