-- The schedule: which fire time a run was for, and since when a schedule is in force.

-- The cron line and zone whose fire time `scheduled_for` is: "30 18 * * mon-fri America/New_York".
ALTER TABLE runs ADD COLUMN schedule TEXT;

-- Each fire time once: run at its time or later, or missed. Those that go on with one are further runs of it.
CREATE UNIQUE INDEX runs_by_fire_time ON runs (schedule, scheduled_for) WHERE trigger IN ('schedule', 'catch_up');

-- Fire times count from `since`: a schedule that was changed has missed nothing before.
CREATE TABLE schedules (
    schedule TEXT PRIMARY KEY,
    since TEXT NOT NULL
) STRICT, WITHOUT ROWID;
