-- The log's functions. All of them hold the row of fleet.log_head until their transaction ends: a caller commits at once.

-- An instant as the records of followers have it: UTC, to the millisecond.
CREATE FUNCTION fleet.instant(_at timestamptz) RETURNS text
LANGUAGE sql STABLE AS $$ SELECT to_char(_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') $$;

-- When a symbol is due again that was answered {} at _at, as store/symbol_states has it; NULL: as usual.
-- Hours, not days: those of a server in a zone with summer time differ.
CREATE FUNCTION fleet.next_try(_at timestamptz, _misses int) RETURNS timestamptz
LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN _misses > 0
                THEN _at + least(power(2, least(_misses - 1, 5)), 30) * interval '24 hours' - interval '4 hours' END
$$;

-- Which life of the server this is: a standby that takes over begins another, and so does a dump that is restored.
CREATE FUNCTION fleet.timeline() RETURNS int
LANGUAGE sql VOLATILE AS $$
    SELECT ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int
         + CASE WHEN h.place = a.place THEN 0 ELSE 1000000 + (hashtext(h.place) & 1073741823) END
      FROM fleet.about a
           CROSS JOIN (SELECT (pg_control_system()).system_identifier || '/' || 'fleet.log'::regclass::oid) AS h (place)
$$;

-- The last seq, locked until the commit. The first entry of a new timeline is noted: followers read again from there.
-- No run gets an id that the server before may have given: people, logs and notifications have seen it, and members still
-- hand over what they got for that run.
CREATE FUNCTION fleet.lock_head() RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    _head fleet.log_head;
    _timeline int := fleet.timeline();
BEGIN
    PERFORM fleet.be_durable();
    SELECT * INTO _head FROM fleet.log_head FOR UPDATE;
    IF _head.timeline IS DISTINCT FROM _timeline THEN
        INSERT INTO fleet.timelines (timeline, first_seq, began_at)
        SELECT _timeline, _head.seq + 1,  -- after all others, whatever the clock of this server shows
               greatest(fleet.now(), max(t.began_at) + interval '1 microsecond') FROM fleet.timelines t
        ON CONFLICT (timeline) DO UPDATE SET first_seq = excluded.first_seq, began_at = excluded.began_at;
        UPDATE fleet.log_head SET timeline = _timeline;
        IF _head.timeline IS NOT NULL THEN
            PERFORM setval('fleet.runs_id_seq', nextval('fleet.runs_id_seq') + 1000000);
        END IF;
    END IF;
    RETURN _head.seq;
END $$;

-- Note a new timeline, if this is one: to be called before a run gets its id.
CREATE FUNCTION fleet.notice_takeover() RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    IF NOT pg_is_in_recovery() AND (SELECT timeline FROM fleet.log_head) IS DISTINCT FROM fleet.timeline() THEN
        PERFORM fleet.lock_head();
    END IF;
END $$;

-- An entry at the end of the log, of any kind but answers; its place. For callers that have a transaction to end.
CREATE FUNCTION fleet.log_entry(_kind text, _body text, _run bigint DEFAULT NULL) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    _seq bigint := fleet.lock_head() + 1;
BEGIN
    UPDATE fleet.log_head SET seq = _seq;
    INSERT INTO fleet.log (seq, kind, at, run_id, body) VALUES (_seq, _kind, fleet.now(), _run, _body);
    RETURN _seq;
END $$;

-- Log a run as it is now: to be called when it has begun, ended or been missed.
CREATE FUNCTION fleet.log_run(_run bigint) RETURNS bigint
LANGUAGE sql AS $$
    SELECT fleet.log_entry('run', json_build_object(
               'trigger', trigger, 'status', status, 'schedule', schedule,
               'scheduled_for', fleet.instant(scheduled_for), 'started_at', fleet.instant(started_at),
               'finished_at', fleet.instant(finished_at), 'symbols', symbols, 'due', due, 'stored', stored,
               'unchanged', unchanged, 'unknown', unknown, 'failed', failed, 'rejected', rejected,
               'deferred', deferred, 'requests', requests, 'seconds', round(seconds::numeric, 3), 'detail', detail,
               'uncovered', uncovered)::text, id)
      FROM fleet.runs WHERE id = _run
$$;

-- Log the schedules in force: to be called when fleet.schedules has changed.
CREATE FUNCTION fleet.log_schedules() RETURNS bigint
LANGUAGE sql AS $$
    SELECT fleet.log_entry('schedules', coalesce(
               json_object_agg(schedule, fleet.instant(since) ORDER BY schedule), '{}')::text)
      FROM fleet.schedules
$$;

-- Log the configured symbols, unless the last list had the same digest.
CREATE FUNCTION fleet.log_symbols(_digest bytea, _body text) RETURNS bigint
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM fleet.lock_head();
    IF EXISTS (SELECT 1 FROM fleet.listed WHERE digest = _digest) THEN RETURN NULL; END IF;
    INSERT INTO fleet.listed (digest) VALUES (_digest) ON CONFLICT (one) DO UPDATE SET digest = excluded.digest;
    RETURN fleet.log_entry('symbols', _body);
END $$;

-- What is known of a symbol after an overview at _covered_at and a {} at _gone_at, each of them perhaps NULL.
-- An overview that came late changes nothing but what it is newer than.
CREATE FUNCTION fleet.found_at(
    _known fleet.symbols, _covered_at timestamptz, _gone_at timestamptz, _tried_at timestamptz, _digest bytea,
    _seq bigint)
RETURNS fleet.symbols
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    _is_later boolean := _gone_at > coalesce(_known.last_look, '-infinity');
BEGIN
    _known.misses := coalesce(_known.misses, 0);
    _known.last_try := greatest(_known.last_try, _tried_at);
    _known.last_look := greatest(_known.last_look, _covered_at, _gone_at);
    IF _covered_at >= coalesce(_known.last_overview, '-infinity') THEN
        _known.last_overview := _covered_at;
        _known.digest := _digest;
        _known.seq := _seq;
        IF _covered_at >= coalesce(_known.uncovered_since, '-infinity') AND _covered_at = _known.last_look THEN
            _known.uncovered_since := NULL;
            _known.misses := 0;
            _known.next_try := NULL;
        END IF;
    END IF;
    IF _is_later AND _gone_at > coalesce(_known.last_overview, '-infinity') THEN
        IF _known.uncovered_since IS NULL OR _known.uncovered_since <= _known.last_overview THEN
            _known.uncovered_since := _gone_at;
            _known.misses := 0;
        END IF;
        -- A symbol that has snapshots stays due for a week: the API has answered {} for whole exchanges.
        IF _known.last_overview IS NULL OR _gone_at >= _known.uncovered_since + interval '164 hours' THEN
            _known.misses := _known.misses + 1;
        END IF;
        _known.next_try := fleet.next_try(_gone_at, _known.misses);
    END IF;
    RETURN _known;
END $$;

-- A turn of one member: slots that are closed, and how symbols ended. One statement, one commit; it may be repeated
-- after a commit of which nobody knows: an answer is logged once a slot, an outcome once a run and symbol.
-- _outcomes: `answered`, with the document and its digest; or as the store names them. _digests and _bodies: else NULL.
-- Returns the outcome of each, in order: of `answered`, `stored` or `unchanged`.
CREATE FUNCTION fleet.append(
    _member text, _closed bigint[], _closed_as text[],
    _runs bigint[], _symbols text[], _outcomes text[], _attempts int[], _ats timestamptz[], _details text[],
    _slots bigint[], _digests bytea[], _bodies text[])
RETURNS TABLE (number bigint, outcome text)
LANGUAGE plpgsql AS $$
DECLARE
    _head bigint;
    _now timestamptz;
BEGIN
    PERFORM fleet.close_slots(_closed, _closed_as);
    IF coalesce(cardinality(_symbols), 0) = 0 THEN RETURN; END IF;
    -- From here to the commit, appends go one at a time: seq has no gaps, and its order is that of commits. Each
    -- statement below sees what those before committed.
    _head := fleet.lock_head();
    _now := fleet.now();
    RETURN QUERY
    WITH given AS (
        SELECT g.n, g.run, g.symbol, g.attempts, g.detail, g.slot, g.digest, g.body,
               least(greatest(g.at, s.reserved_at), _now) AS at,
               g.outcome = 'answered' AS is_answer,
               g.outcome IN ('answered', 'unknown') AND g.slot IS NOT NULL AS is_look,
               l.seq IS NOT NULL AS is_repeated,
               CASE WHEN l.seq IS NOT NULL THEN l.same_as WHEN y.digest = g.digest THEN y.seq END AS same_as,
               g.outcome AS said,
               (o.outcome IS NULL OR o.outcome = 'deferred' AND g.outcome <> 'deferred')
               AND row_number() OVER (PARTITION BY g.run, g.symbol ORDER BY g.outcome = 'deferred', g.n) = 1 AS ends
          FROM unnest(_runs, _symbols, _outcomes, _attempts, _ats, _details, _slots, _digests, _bodies)
               WITH ORDINALITY AS g (run, symbol, outcome, attempts, at, detail, slot, digest, body, n)
          LEFT JOIN fleet.slots s ON s.id = g.slot
          LEFT JOIN fleet.log l ON l.slot_id = g.slot AND l.kind IN ('answer', 'uncovered')
          LEFT JOIN fleet.symbols y ON y.symbol = g.symbol
          LEFT JOIN fleet.outcomes o ON o.run_id = g.run AND o.symbol = g.symbol
    ), placed AS MATERIALIZED (
        SELECT g.*, CASE WHEN NOT g.is_answer THEN g.said WHEN g.same_as IS NULL THEN 'stored' ELSE 'unchanged' END AS ended_as,
               CASE WHEN CASE WHEN g.is_look THEN NOT g.is_repeated ELSE g.ends END
                    THEN _head + count(*) FILTER (WHERE CASE WHEN g.is_look THEN NOT g.is_repeated ELSE g.ends END)
                                 OVER (ORDER BY g.n) END AS seq
          FROM given g
    ), logged AS (
        INSERT INTO fleet.log (seq, kind, at, symbol, run_id, slot_id, attempts, same_as, body)
        SELECT p.seq, CASE WHEN NOT p.is_look THEN 'outcome' WHEN p.is_answer THEN 'answer' ELSE 'uncovered' END,
               p.at, p.symbol, p.run, p.slot, p.attempts, p.same_as,
               CASE WHEN NOT p.is_look THEN json_build_object('outcome', p.said, 'detail', p.detail)::text
                    WHEN p.is_answer THEN CASE WHEN p.same_as IS NULL THEN p.body END
                    ELSE p.detail END
          FROM placed p WHERE p.seq IS NOT NULL ORDER BY p.seq
    ), moved AS (
        UPDATE fleet.log_head SET seq = (SELECT max(p.seq) FROM placed p)
         WHERE EXISTS (SELECT 1 FROM placed p WHERE p.seq IS NOT NULL)
    ), ended AS (
        INSERT INTO fleet.outcomes AS o (run_id, symbol, outcome, attempts, at, member, detail)
        SELECT p.run, p.symbol, p.ended_as, p.attempts, p.at, _member, p.detail
          FROM placed p WHERE p.ends ORDER BY p.run, p.symbol
        ON CONFLICT (run_id, symbol) DO UPDATE SET
            outcome = excluded.outcome, attempts = excluded.attempts, at = excluded.at, member = excluded.member,
            detail = excluded.detail
    ), found AS (
        SELECT p.symbol, max(p.at) FILTER (WHERE p.is_answer) AS covered_at,
               max(p.at) FILTER (WHERE p.is_look AND NOT p.is_answer) AS gone_at,
               max(p.at) FILTER (WHERE p.attempts > 0) AS tried_at,
               (array_agg(p.digest ORDER BY p.at DESC) FILTER (WHERE p.is_answer))[1] AS digest,
               (array_agg(coalesce(p.same_as, p.seq) ORDER BY p.at DESC) FILTER (WHERE p.is_answer))[1] AS seq
          FROM placed p WHERE NOT p.is_repeated AND p.seq IS NOT NULL GROUP BY p.symbol
    ), stated AS (
        INSERT INTO fleet.symbols AS s (symbol, last_look, last_overview, last_try, next_try, uncovered_since, misses,
                                        digest, seq)
        SELECT f.symbol, n.last_look, n.last_overview, n.last_try, n.next_try, n.uncovered_since, n.misses, n.digest, n.seq
          FROM found f LEFT JOIN fleet.symbols y ON y.symbol = f.symbol AND NOT fleet.is_ahead(y.last_look)
               CROSS JOIN LATERAL fleet.found_at(y, f.covered_at, f.gone_at, f.tried_at, f.digest, f.seq) AS n
         ORDER BY f.symbol
        ON CONFLICT (symbol) DO UPDATE SET
            last_look = excluded.last_look, last_overview = excluded.last_overview, last_try = excluded.last_try,
            next_try = excluded.next_try, uncovered_since = excluded.uncovered_since, misses = excluded.misses,
            digest = excluded.digest, seq = excluded.seq
    )
    SELECT p.n, p.ended_as FROM placed p ORDER BY p.n;
END $$;

-- Begin a run that one member does alone, without batches.
CREATE FUNCTION fleet.begin_alone(
    _trigger text, _symbols int, _due int, _schedule text, _scheduled_for timestamptz, _member text, _instance uuid)
RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    _run bigint;
BEGIN
    PERFORM fleet.notice_takeover();
    INSERT INTO fleet.runs (trigger, status, started_at, symbols, due, schedule, scheduled_for, member, instance)
    VALUES (_trigger, 'running', fleet.now(), _symbols, _due, _schedule, _scheduled_for, _member, _instance)
    RETURNING id INTO _run;
    PERFORM fleet.log_run(_run);
    RETURN _run;
END $$;

-- End it, with what its member counted. Once: a member that was thought dead may find it ended, with less than it got.
CREATE FUNCTION fleet.end_alone(
    _run bigint, _status text, _detail text, _symbols int, _requests int, _seconds double precision, _uncovered int,
    _stored int, _unchanged int, _unknown int, _failed int, _rejected int, _deferred int)
RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    UPDATE fleet.runs
       SET status = _status, detail = _detail, finished_at = fleet.now(), symbols = coalesce(_symbols, symbols),
           requests = _requests, seconds = _seconds, uncovered = _uncovered, stored = _stored,
           unchanged = _unchanged, unknown = _unknown, failed = _failed, rejected = _rejected, deferred = _deferred
     WHERE id = _run AND status = 'running';
    IF FOUND THEN PERFORM fleet.log_run(_run); ELSE PERFORM fleet.recount(_run); END IF;
END $$;
