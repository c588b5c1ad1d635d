-- Imports of a single machine's record. Each part is one statement, and is added once: `upto` says which was the last.

-- Begin an import, or go on with it. With it come the requests that may still count in a window, and the blocks of keys.
-- The record's runs keep their ids if the fleet has none yet; those that begin later get ids after _last_run.
CREATE FUNCTION fleet.begin_import(
    _record text, _last_run bigint, _member text, _slots json, _blocks json)
RETURNS fleet.imports
LANGUAGE plpgsql AS $$
DECLARE
    _import fleet.imports;
BEGIN
    LOCK TABLE fleet.runs IN SHARE ROW EXCLUSIVE MODE;  -- no run begins before the ids of these are known
    SELECT * INTO _import FROM fleet.imports WHERE record = _record;
    IF FOUND THEN
        IF NOT _import.is_whole AND _import.finished_at IS NULL AND _import.last_run <> _last_run THEN
            -- It has collected since the import was cut short, perhaps of symbols that are in the log already.
            UPDATE fleet.imports SET last_run = _last_run, upto = '' WHERE record = _record RETURNING * INTO _import;
        END IF;
        RETURN _import;
    END IF;
    INSERT INTO fleet.imports (record, begun_at, is_whole, last_run, first_seq)
    SELECT _record, fleet.now(), NOT EXISTS (SELECT 1 FROM fleet.runs), _last_run, h.seq + 1 FROM fleet.log_head h
    RETURNING * INTO _import;
    IF _import.is_whole THEN
        PERFORM setval('fleet.runs_id_seq', greatest(_last_run, 1), _last_run > 0);
    END IF;
    INSERT INTO fleet.slots (key_id, run_id, symbol, member, retry, reserved_at, deadline_at, finished_at, outcome)
    SELECT s.key_id, CASE WHEN _import.is_whole THEN s.run_id END, s.symbol, _member, s.retry, s.reserved_at,
           s.deadline_at,  -- no later than by now or, unanswered, its time from now: its clock may have been ahead
           CASE WHEN s.finished_at IS NULL THEN least(s.deadline_at, fleet.now() + (s.deadline_at - s.reserved_at))
                ELSE least(s.finished_at, fleet.now()) END,
           coalesce(s.outcome, 'died')
      FROM json_populate_recordset(NULL::fleet.slots, _slots) AS s;
    INSERT INTO fleet.keys AS k (id, name, blocked_since, blocked_until, blocked_by, goes_alone)
    SELECT b.id, b.name, b.blocked_since, b.blocked_until, b.blocked_by, true
      FROM json_populate_recordset(NULL::fleet.keys, _blocks) AS b
    ON CONFLICT (id) DO UPDATE SET
        blocked_since = excluded.blocked_since, blocked_until = excluded.blocked_until,
        blocked_by = excluded.blocked_by, goes_alone = true
     WHERE excluded.blocked_until > coalesce(k.blocked_until, '-infinity');
    RETURN _import;
END $$;

-- Add runs, as the record has them. One for a fire time that the fleet has had since stays away.
CREATE FUNCTION fleet.import_runs(_record text, _upto text, _runs json) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    _ids bigint[];
BEGIN
    PERFORM fleet.lock_head();
    IF EXISTS (SELECT 1 FROM fleet.imports WHERE record = _record AND upto = _upto) THEN RETURN; END IF;
    WITH added AS (
        INSERT INTO fleet.runs SELECT * FROM json_populate_recordset(NULL::fleet.runs, _runs)
        ON CONFLICT DO NOTHING RETURNING id
    )
    SELECT coalesce(array_agg(id ORDER BY id), '{}') INTO _ids FROM added;
    PERFORM fleet.log_run(id) FROM unnest(_ids) AS id;
    UPDATE fleet.imports SET upto = _upto, entries = entries + cardinality(_ids) WHERE record = _record;
END $$;

-- Put the schedules of the record in force, if there are none yet; those that are in force count from when they do there.
CREATE FUNCTION fleet.import_schedules(_record text, _upto text, _schedules text[], _since timestamptz[]) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    _changed int;
BEGIN
    PERFORM 1 FROM fleet.about FOR UPDATE;
    IF EXISTS (SELECT 1 FROM fleet.imports WHERE record = _record AND upto = _upto) THEN RETURN; END IF;
    INSERT INTO fleet.schedules AS s (schedule, since)
    SELECT g.schedule, least(g.since, fleet.now()) FROM unnest(_schedules, _since) AS g (schedule, since)
     WHERE NOT EXISTS (SELECT 1 FROM fleet.schedules) OR g.schedule IN (SELECT schedule FROM fleet.schedules)
    ON CONFLICT (schedule) DO UPDATE SET since = excluded.since WHERE excluded.since < s.since;
    GET DIAGNOSTICS _changed = ROW_COUNT;
    IF _changed > 0 THEN PERFORM fleet.log_schedules(); END IF;
    UPDATE fleet.imports SET upto = _upto, entries = entries + (_changed > 0)::int WHERE record = _record;
END $$;

-- Add entries of the log. _sames: the number, among these, of the entry that has an equal document, or NULL.
-- _states: what is known of symbols after them; `seq` is a number among these, too. The fleet's own later word stays.
CREATE FUNCTION fleet.import_entries(
    _record text, _upto text, _kinds text[], _ats timestamptz[], _symbols text[], _runs bigint[], _attempts int[],
    _sames int[], _bodies text[], _states json)
RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    _head bigint := fleet.lock_head();
BEGIN
    IF EXISTS (SELECT 1 FROM fleet.imports WHERE record = _record AND upto = _upto) THEN RETURN; END IF;
    INSERT INTO fleet.log (seq, kind, at, symbol, run_id, attempts, same_as, body)
    SELECT _head + g.n, g.kind, g.at, g.symbol, g.run, g.attempts, _head + g.same, g.body
      FROM unnest(_kinds, _ats, _symbols, _runs, _attempts, _sames, _bodies) WITH ORDINALITY
           AS g (kind, at, symbol, run, attempts, same, body, n);
    INSERT INTO fleet.symbols AS s (symbol, last_look, last_overview, last_try, next_try, uncovered_since, misses,
                                    digest, seq)
    SELECT symbol, last_look, last_overview, last_try, next_try, uncovered_since, misses, digest, _head + seq
      FROM json_populate_recordset(NULL::fleet.symbols, _states)
    ON CONFLICT (symbol) DO UPDATE SET
        last_look = excluded.last_look, last_overview = greatest(s.last_overview, excluded.last_overview),
        last_try = greatest(s.last_try, excluded.last_try), next_try = excluded.next_try,
        uncovered_since = excluded.uncovered_since, misses = excluded.misses,
        digest = coalesce(excluded.digest, s.digest),
        seq = CASE WHEN excluded.digest IS NULL THEN s.seq ELSE excluded.seq END
     WHERE excluded.last_look > coalesce(s.last_look, '-infinity');
    UPDATE fleet.log_head SET seq = _head + cardinality(_kinds);
    UPDATE fleet.imports SET upto = _upto, entries = entries + cardinality(_kinds) WHERE record = _record;
END $$;

-- End an import. Unless it came with runs, it is one itself. Returns the place in the log that the record is to follow
-- from: the end, if since the import began nothing but its own was logged.
CREATE FUNCTION fleet.end_import(
    _record text, _member text, _symbols int, _stored int, _unchanged int, _unknown int)
RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    _head bigint := fleet.lock_head();
    _import fleet.imports;
    _run bigint;
BEGIN
    UPDATE fleet.imports
       SET finished_at = fleet.now(),
           follow_from = CASE WHEN first_seq - 1 + entries = _head THEN _head ELSE first_seq - 1 END
     WHERE record = _record AND finished_at IS NULL RETURNING * INTO _import;
    IF FOUND AND NOT _import.is_whole THEN
        INSERT INTO fleet.runs (trigger, status, started_at, finished_at, seconds, symbols, stored, unchanged, unknown,
                                member, reported)
        VALUES ('import', 'complete', _import.begun_at, _import.finished_at,
                extract(epoch FROM _import.finished_at - _import.begun_at), _symbols, _stored, _unchanged, _unknown,
                _member, true)
        RETURNING id INTO _run;
        PERFORM fleet.log_run(_run);
    END IF;
    RETURN (SELECT follow_from FROM fleet.imports WHERE record = _record);
END $$;
