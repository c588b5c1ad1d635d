-- Members, runs and their batches. Each of these functions is one statement of a caller that commits at once.

-- A machine joins, or changes what it is configured with. It proposes what all members are to agree about: _settings, in
-- place of _expected, which is what it has read. `is_compatible`: the two differ only in keys that one of them lacks.
-- _beat_seen: the last sign of life of another process of its name, which has given none since.
-- Verdicts: `joined`; `changed`: something else is agreed about by now; `others`: they live, and have agreed about
-- something else, or this machine has left because they had; `taken`: another process of this name lives.
CREATE FUNCTION fleet.join(
    _name text, _instance uuid, _role text, _version text, _keys text[], _clock_ahead interval,
    _symbols int, _digest text, _expected text, _settings text, _is_compatible boolean, _beat_seen timestamptz)
RETURNS TABLE (verdict text, beat timestamptz, agreed_at timestamptz)
LANGUAGE plpgsql AS $$
DECLARE
    _now timestamptz;
    _last timestamptz;
    _agreed text;
BEGIN
    PERFORM 1 FROM fleet.about FOR UPDATE;  -- members join one at a time
    _now := clock_timestamp();
    SELECT m.beat_at INTO _last FROM fleet.members m
     WHERE m.name = _name AND m.instance <> _instance AND m.left_at IS NULL AND m.beat_at > _now - fleet.lives();
    IF _last IS DISTINCT FROM _beat_seen AND _last IS NOT NULL THEN
        RETURN QUERY SELECT 'taken', _last, NULL::timestamptz;
        RETURN;
    END IF;
    IF _settings IS NOT NULL THEN
        SELECT a.settings INTO _agreed FROM fleet.agreed a;
        IF _agreed IS DISTINCT FROM _expected THEN
            RETURN QUERY SELECT 'changed', NULL::timestamptz, NULL::timestamptz;
            RETURN;
        END IF;
        IF NOT _is_compatible AND EXISTS (
               SELECT 1 FROM fleet.members m
                WHERE CASE WHEN m.name = _name THEN m.disagreed
                           ELSE m.role = 'member' AND m.left_at IS NULL AND m.beat_at > _now - fleet.lives() END) THEN
            RETURN QUERY SELECT 'others', NULL::timestamptz, NULL::timestamptz;
            RETURN;
        END IF;
        INSERT INTO fleet.agreed AS a (settings, member, at) VALUES (_settings, _name, _now)
        ON CONFLICT (one) DO UPDATE SET settings = excluded.settings, member = excluded.member, at = excluded.at
         WHERE a.settings <> excluded.settings;
    END IF;
    INSERT INTO fleet.members AS m (name, instance, role, version, keys, started_at, beat_at, clock_ahead, symbols,
                                    symbols_digest)
    VALUES (_name, _instance, _role, _version, _keys, _now, _now, _clock_ahead, _symbols, _digest)
    ON CONFLICT (name) DO UPDATE SET
        instance = excluded.instance, role = excluded.role, version = excluded.version, keys = excluded.keys,
        started_at = CASE WHEN m.instance = excluded.instance THEN m.started_at ELSE _now END,
        beat_at = _now, left_at = NULL, clock_ahead = excluded.clock_ahead, symbols = excluded.symbols,
        symbols_digest = excluded.symbols_digest, trouble = NULL, disagreed = false;
    RETURN QUERY SELECT 'joined', _now, (SELECT a.at FROM fleet.agreed a);
END $$;

-- A member that did not report itself for longer is dead.
CREATE FUNCTION fleet.lives() RETURNS interval LANGUAGE sql IMMUTABLE AS $$ SELECT interval '1 minute' $$;

-- Take a task for a while, or go on with it; false if another member has it.
CREATE FUNCTION fleet.lease(_task text, _member text, _lasts interval) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO fleet.leases AS l (task, member, until) VALUES (_task, _member, clock_timestamp() + _lasts)
    ON CONFLICT (task) DO UPDATE SET member = excluded.member, until = excluded.until
     WHERE l.member = excluded.member OR l.until < clock_timestamp()
        OR l.until > clock_timestamp() + _lasts + interval '1 minute';  -- of a clock that was ahead
    RETURN FOUND;
END $$;

-- Put these schedules in force, and no others. New ones count fire times from _since on, the very first ones from the
-- instants given with them. False if something else is agreed about by now: then nothing changes.
CREATE FUNCTION fleet.activate(_schedules text[], _firsts timestamptz[], _since timestamptz) RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
    _is_first boolean;
    _removed int;
    _added int;
BEGIN
    PERFORM 1 FROM fleet.about FOR UPDATE;
    IF EXISTS (SELECT 1 FROM fleet.agreed a WHERE NOT (a.settings::jsonb->'schedules') ?& _schedules) THEN
        RETURN false;
    END IF;
    _is_first := NOT EXISTS (SELECT 1 FROM fleet.schedules);
    DELETE FROM fleet.schedules WHERE schedule <> ALL (_schedules);
    GET DIAGNOSTICS _removed = ROW_COUNT;
    INSERT INTO fleet.schedules (schedule, since)
    SELECT g.schedule, CASE WHEN _is_first THEN g.first ELSE least(_since, clock_timestamp()) END
      FROM unnest(_schedules, _firsts) AS g (schedule, first)
    ON CONFLICT DO NOTHING;
    GET DIAGNOSTICS _added = ROW_COUNT;
    IF _removed + _added > 0 THEN PERFORM fleet.log_schedules(); END IF;
    RETURN true;
END $$;

-- The last fire time of each schedule in force, as model/firings has it, and the last run for it.
CREATE FUNCTION fleet.firings()
RETURNS TABLE (schedule text, since timestamptz, scheduled_for timestamptz, status text, finished_at timestamptz,
               empty_runs bigint, last_run bigint)
LANGUAGE sql STABLE AS $$
    SELECT s.schedule, s.since, f.scheduled_for, l.status, l.finished_at,
           (SELECT count(*) FROM fleet.runs e
             WHERE e.schedule = s.schedule AND e.scheduled_for = f.scheduled_for AND e.id > coalesce(
                   (SELECT max(o.id) FROM fleet.runs o
                     WHERE o.schedule = s.schedule AND o.scheduled_for = f.scheduled_for
                       AND o.stored + o.unchanged + o.unknown - o.uncovered > 0), 0)),
           l.id
      FROM fleet.schedules s
      LEFT JOIN LATERAL (SELECT r.scheduled_for FROM fleet.runs r
                          WHERE r.schedule = s.schedule AND r.trigger IN ('schedule', 'catch_up')
                          ORDER BY r.scheduled_for DESC LIMIT 1) AS f ON true
      LEFT JOIN LATERAL (SELECT r.id, r.status, r.finished_at FROM fleet.runs r
                          WHERE r.schedule = s.schedule AND r.scheduled_for = f.scheduled_for
                          ORDER BY r.id DESC LIMIT 1) AS l ON true
$$;

-- Begin a run for a fire time, with its batches and their jobs: the first member does. NULL: another one did, or it
-- is not yet time. _after: the last run for the last fire time of the schedule, as the caller knows it.
CREATE FUNCTION fleet.fire(
    _trigger text, _schedule text, _scheduled_for timestamptz, _after bigint, _observed_since timestamptz, _member text,
    _symbols int, _due text[], _batch int)
RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    _now timestamptz;
    _run bigint;
    _old bigint;
BEGIN
    PERFORM 1 FROM fleet.schedules s WHERE s.schedule = _schedule FOR UPDATE;
    IF NOT FOUND THEN RETURN NULL; END IF;
    _now := clock_timestamp();
    IF _scheduled_for > _now
       OR EXISTS (SELECT 1 FROM fleet.runs r WHERE r.id > coalesce(_after, 0) AND r.schedule = _schedule
                                               AND r.status <> 'missed') THEN
        RETURN NULL;
    END IF;
    SELECT r.id INTO _old FROM fleet.runs r WHERE r.schedule = _schedule AND r.status = 'running';
    IF _trigger = 'continue' AND _old IS NOT NULL THEN RETURN NULL; END IF;
    IF _old IS NOT NULL THEN
        PERFORM fleet.end_run(_old, 'interrupted', 'superseded: the next fire time came before it had ended');
    END IF;
    PERFORM fleet.notice_takeover();
    INSERT INTO fleet.runs (trigger, schedule, scheduled_for, started_at, status, symbols, due, observed_since, member)
    VALUES (_trigger, _schedule, _scheduled_for, _now, 'running', _symbols, cardinality(_due), _observed_since, _member)
    ON CONFLICT DO NOTHING RETURNING id INTO _run;
    IF _run IS NULL THEN RETURN NULL; END IF;
    INSERT INTO fleet.batches (run_id, number, symbols)
    SELECT _run, (d.place - 1) / _batch, array_agg(d.symbol ORDER BY d.place)
      FROM unnest(_due) WITH ORDINALITY AS d (symbol, place) GROUP BY 2;
    PERFORM fleet.add_jobs(_run);
    PERFORM fleet.log_run(_run);
    RETURN _run;
END $$;

-- Give each batch of a run that is not done a job, unless it has one. How many had none.
CREATE FUNCTION fleet.add_jobs(_run bigint) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    _added bigint;
BEGIN
    INSERT INTO public.procrastinate_jobs (queue_name, task_name, args)
    SELECT 'collect', 'collect_batch', jsonb_build_object('run', b.run_id, 'number', b.number)
      FROM fleet.batches b
     WHERE b.run_id = _run AND b.done_at IS NULL AND b.number NOT IN (
           SELECT (j.args->>'number')::int FROM public.procrastinate_jobs j
            WHERE j.task_name = 'collect_batch' AND j.status IN ('todo', 'doing') AND (j.args->>'run')::bigint = _run)
     ORDER BY b.number;
    GET DIAGNOSTICS _added = ROW_COUNT;
    RETURN _added;
END $$;

-- Forget for which fire times runs were that are still to come: a clock that was ahead began or missed them. They will
-- run then. How many; at most _most.
CREATE FUNCTION fleet.forget_future(_tolerance interval, _most int) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    _latest timestamptz := clock_timestamp() + _tolerance;
    _ids bigint[];
BEGIN
    UPDATE fleet.schedules SET since = clock_timestamp() WHERE since > _latest;
    IF FOUND THEN PERFORM fleet.log_schedules(); END IF;
    WITH forgotten AS (
        UPDATE fleet.runs SET schedule = NULL
         WHERE id IN (SELECT r.id FROM fleet.schedules s JOIN fleet.runs r USING (schedule)
                       WHERE r.scheduled_for > _latest LIMIT _most)
        RETURNING id
    )
    SELECT array_agg(id ORDER BY id) INTO _ids FROM forgotten;
    PERFORM fleet.log_run(id) FROM unnest(_ids) AS id;
    RETURN coalesce(cardinality(_ids), 0);
END $$;

-- What is left of a batch: its symbols that have not ended in its run, and were not observed since its fire time. Last
-- come those whose request has no end: the answer may be what kills the members that ask.
CREATE FUNCTION fleet.left_of(_run bigint, _number int) RETURNS TABLE (symbol text)
LANGUAGE sql STABLE AS $$
    SELECT u.symbol
      FROM fleet.batches b JOIN fleet.runs r ON r.id = b.run_id
           CROSS JOIN unnest(b.symbols) WITH ORDINALITY AS u (symbol, place)
     WHERE b.run_id = _run AND b.number = _number
       AND NOT EXISTS (SELECT 1 FROM fleet.outcomes o
                        WHERE o.run_id = _run AND o.symbol = u.symbol AND o.outcome <> 'deferred')
       AND NOT EXISTS (SELECT 1 FROM fleet.symbols y
                        WHERE y.symbol = u.symbol AND coalesce(y.last_overview, y.last_look) > r.observed_since
                          AND NOT fleet.is_ahead(y.last_look))
     ORDER BY EXISTS (SELECT 1 FROM fleet.slots s WHERE s.symbol = u.symbol AND s.finished_at IS NULL), u.place
$$;

-- Give each symbol of a run that another run has observed meanwhile its outcome in this one, too: nothing was requested, and
-- nothing observed. In the log, so that all records have it. The caller commits at once.
CREATE FUNCTION fleet.settle(_run bigint) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    _member text;
    _symbols text[];
    _outcomes text[];
    _details text[];
BEGIN
    WITH others AS MATERIALIZED (
        SELECT o.id FROM fleet.runs r JOIN fleet.runs o ON o.id <> r.id AND o.status <> 'missed'
                                                       AND coalesce(o.finished_at, 'infinity') > r.observed_since
         WHERE r.id = _run
    ), observed AS (
        SELECT u.symbol, r.member, CASE WHEN y.last_overview > r.observed_since THEN 'unchanged' ELSE 'unknown' END AS outcome
          FROM fleet.runs r JOIN fleet.batches b ON b.run_id = r.id CROSS JOIN unnest(b.symbols) AS u (symbol)
               JOIN fleet.symbols y ON y.symbol = u.symbol
         WHERE r.id = _run AND coalesce(y.last_overview, y.last_look) > r.observed_since AND NOT fleet.is_ahead(y.last_look)
           AND NOT EXISTS (SELECT 1 FROM fleet.outcomes o
                            WHERE o.run_id = _run AND o.symbol = u.symbol AND o.outcome <> 'deferred')
           AND NOT EXISTS (SELECT 1 FROM fleet.slots s WHERE s.symbol = u.symbol AND s.finished_at IS NULL)
    )
    SELECT max(o.member), array_agg(o.symbol ORDER BY o.symbol), array_agg(o.outcome ORDER BY o.symbol),
           array_agg(coalesce('run ' || w.run_id, 'another run') || ' observed it meanwhile' ORDER BY o.symbol)
      INTO _member, _symbols, _outcomes, _details
      FROM observed o
      LEFT JOIN LATERAL (SELECT max(e.run_id) AS run_id FROM others JOIN fleet.outcomes e ON e.run_id = others.id
                          WHERE e.symbol = o.symbol AND e.attempts > 0
                            AND e.outcome IN ('stored', 'unchanged', 'unknown')) AS w ON true;
    IF _symbols IS NULL THEN RETURN; END IF;
    PERFORM fleet.append(
        _member, NULL, NULL, array_fill(_run, ARRAY[n]), _symbols, _outcomes, array_fill(0, ARRAY[n]),
        array_fill(fleet.now(), ARRAY[n]), _details, array_fill(NULL::bigint, ARRAY[n]),
        array_fill(NULL::bytea, ARRAY[n]), array_fill(NULL::text, ARRAY[n]))
      FROM cardinality(_symbols) AS n;
END $$;

-- How the symbols of a run ended so far. What else was due is deferred.
CREATE FUNCTION fleet.tally(_run bigint)
RETURNS TABLE (stored int, unchanged int, unknown int, failed int, rejected int, deferred int, uncovered int,
               requests int)
LANGUAGE sql STABLE AS $$
    SELECT count(*) FILTER (WHERE o.outcome = 'stored'), count(*) FILTER (WHERE o.outcome = 'unchanged'),
           count(*) FILTER (WHERE o.outcome = 'unknown'), count(*) FILTER (WHERE o.outcome = 'failed'),
           count(*) FILTER (WHERE o.outcome = 'rejected'),
           greatest((SELECT r.due FROM fleet.runs r WHERE r.id = _run) - count(*) FILTER (WHERE o.outcome <> 'deferred'),
                    count(*) FILTER (WHERE o.outcome = 'deferred')),
           count(*) FILTER (WHERE o.outcome = 'unknown' AND y.last_overview IS NOT NULL),
           greatest(sum(o.attempts), (SELECT count(*) FROM fleet.slots s
                                       WHERE s.run_id = _run AND s.outcome IS DISTINCT FROM 'unsent'))
      FROM fleet.outcomes o LEFT JOIN fleet.symbols y USING (symbol)
     WHERE o.run_id = _run
$$;

-- End a run, and whatever of it was not done. False if it has ended already.
CREATE FUNCTION fleet.end_run(_run bigint, _status text, _detail text) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM fleet.runs WHERE id = _run AND status = 'running' FOR UPDATE;
    IF NOT FOUND THEN RETURN false; END IF;
    PERFORM fleet.settle(_run);
    UPDATE fleet.runs r
       SET status = _status, detail = _detail, finished_at = e.at,
           seconds = extract(epoch FROM e.at - r.started_at), requests = t.requests, uncovered = t.uncovered,
           stored = t.stored, unchanged = t.unchanged, unknown = t.unknown, failed = t.failed, rejected = t.rejected,
           deferred = t.deferred
      FROM fleet.tally(_run) AS t, (SELECT clock_timestamp() AS at) AS e
     WHERE r.id = _run;
    UPDATE fleet.batches SET done_at = clock_timestamp() WHERE run_id = _run AND done_at IS NULL;
    PERFORM fleet.cancel_jobs(_run);
    PERFORM fleet.log_run(_run);
    RETURN true;
END $$;

-- Count again how the symbols of a run ended, if more have since it was ended: some of its requests were out then.
CREATE FUNCTION fleet.recount(_run bigint) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    UPDATE fleet.runs r
       SET stored = t.stored, unchanged = t.unchanged, unknown = t.unknown, failed = t.failed, rejected = t.rejected,
           uncovered = t.uncovered, requests = greatest(r.requests, t.requests), deferred = t.deferred
      FROM fleet.tally(_run) AS t
     WHERE r.id = _run AND r.status <> 'running'
       AND t.stored + t.unchanged + t.unknown + t.failed + t.rejected
           > r.stored + r.unchanged + r.unknown + r.failed + r.rejected;
    IF FOUND THEN PERFORM fleet.log_run(_run); END IF;
END $$;

-- Take back the jobs of a run that nobody has begun.
CREATE FUNCTION fleet.cancel_jobs(_run bigint) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM public.procrastinate_jobs j
     WHERE j.task_name = 'collect_batch' AND j.status = 'todo' AND (j.args->>'run')::bigint = _run;
END $$;

-- Let a run end for a reason that holds for all of it. Batches that somebody is at end by themselves, others at once.
CREATE FUNCTION fleet.halt_run(_run bigint, _status text, _reason text, _key_refused boolean) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    UPDATE fleet.runs SET halted_as = _status, halted_by = _reason, key_refused = key_refused OR _key_refused
     WHERE id = _run AND status = 'running' AND coalesce(halted_as, 'quota_exhausted') = 'quota_exhausted';
    IF NOT FOUND THEN RETURN; END IF;
    PERFORM fleet.cancel_jobs(_run);
    UPDATE fleet.batches b SET done_at = clock_timestamp()
     WHERE b.run_id = _run AND b.done_at IS NULL AND NOT EXISTS (
           SELECT 1 FROM public.procrastinate_jobs j
            WHERE j.task_name = 'collect_batch' AND j.status = 'doing' AND (j.args->>'run')::bigint = _run
              AND (j.args->>'number')::int = b.number);
END $$;

-- Fire times for which nothing ran. How many of them nobody has recorded before.
CREATE FUNCTION fleet.miss(_schedule text, _times timestamptz[], _reasons text[], _member text) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    _ids bigint[];
BEGIN
    PERFORM fleet.notice_takeover();
    WITH missed AS (
        INSERT INTO fleet.runs (trigger, status, schedule, scheduled_for, finished_at, detail, member)
        SELECT 'schedule', 'missed', _schedule, g.at, clock_timestamp(), g.reason, _member
          FROM unnest(_times, _reasons) WITH ORDINALITY AS g (at, reason, place) ORDER BY g.place
        ON CONFLICT DO NOTHING RETURNING id
    )
    SELECT array_agg(id ORDER BY id) INTO _ids FROM missed;
    PERFORM fleet.log_run(id) FROM unnest(_ids) AS id;
    RETURN coalesce(cardinality(_ids), 0);
END $$;

-- Note that a batch is done: NULL, if nothing of it is left or its run is to end. Or else when to look at the rest
-- again: once the requests of others for it have ended, and no later than after a while.
CREATE FUNCTION fleet.finish_batch(_run bigint, _number int, _again interval) RETURNS timestamptz
LANGUAGE plpgsql AS $$
DECLARE
    _now timestamptz := clock_timestamp();
    _until timestamptz;
BEGIN
    IF EXISTS (SELECT 1 FROM fleet.runs WHERE id = _run AND status = 'running' AND halted_as IS NULL) THEN
        SELECT max(coalesce(s.deadline_at, _now)) INTO _until
          FROM fleet.left_of(_run, _number) AS l
          LEFT JOIN fleet.slots s ON s.symbol = l.symbol AND s.finished_at IS NULL;
        IF _until IS NOT NULL THEN RETURN greatest(least(_until, _now + _again), _now + interval '1 second'); END IF;
    END IF;
    UPDATE fleet.batches SET done_at = _now WHERE run_id = _run AND number = _number AND done_at IS NULL;
    IF NOT FOUND THEN PERFORM fleet.recount(_run); END IF;  -- somebody has ended it meanwhile, and its run
    RETURN NULL;
END $$;

-- Whether a member that lives has a key, other than these, with which it may request something soon.
CREATE FUNCTION fleet.others_can(_keys text[], _within interval) RETURNS boolean
LANGUAGE sql STABLE AS $$
    SELECT EXISTS (
        SELECT 1 FROM fleet.members m CROSS JOIN unnest(m.keys) AS h (id) JOIN fleet.keys k ON k.id = h.id
               CROSS JOIN LATERAL fleet.opening(k.id, clock_timestamp()) AS o
         WHERE m.role = 'member' AND m.left_at IS NULL AND m.beat_at > clock_timestamp() - fleet.lives()
           AND h.id <> ALL (_keys) AND greatest(o.opens_at, k.blocked_until) <= clock_timestamp() + _within)
$$;
