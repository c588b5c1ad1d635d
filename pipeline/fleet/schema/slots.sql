-- Slots: permission to send one request each, within every limit of a key, for all members.
-- Locks are taken in one order: rows of fleet.keys by id, then of fleet.slots, then of fleet.log_head.

-- The time. Tests replace it in their own databases.
CREATE FUNCTION fleet.now() RETURNS timestamptz LANGUAGE sql VOLATILE AS $$ SELECT clock_timestamp() $$;

-- Whether an instant is from a clock that was ahead: then it must not hide what is to be observed now.
CREATE FUNCTION fleet.is_ahead(_at timestamptz) RETURNS boolean
LANGUAGE sql VOLATILE AS $$ SELECT coalesce(_at > fleet.now() + interval '2 hours', false) $$;

-- Let what this transaction commits survive a crash, whatever the server is configured for: a slot that is forgotten
-- could be given away once more. To be called before anything is locked.
CREATE FUNCTION fleet.be_durable() RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    IF current_setting('synchronous_commit') = 'off' THEN
        PERFORM set_config('synchronous_commit', 'on', true);
    END IF;
END $$;

-- Declare a key and its limits: how many requests in how many seconds. `_retries`: the most of each that may be retries, NULL where all may.
CREATE FUNCTION fleet.declare_key(_id text, _name text, _counts int[], _seconds int[], _retries int[])
RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO fleet.keys (id, name) VALUES (_id, _name) ON CONFLICT (id) DO UPDATE SET name = excluded.name;
    PERFORM 1 FROM fleet.keys WHERE id = _id FOR UPDATE;
    DELETE FROM fleet.limits WHERE key_id = _id;
    INSERT INTO fleet.limits (key_id, count, period, is_for_retries)
    SELECT _id, min(l.count), make_interval(secs => l.seconds), l.is_for_retries
      FROM (SELECT count, seconds, false AS is_for_retries FROM unnest(_counts, _seconds) AS u (count, seconds)
            UNION ALL SELECT count, seconds, true FROM unnest(_retries, _seconds) AS u (count, seconds)) AS l
     WHERE l.count IS NOT NULL GROUP BY l.seconds, l.is_for_retries;
END $$;

-- The same for a member, if what all had agreed about when it joined still is: else nothing, and false. So nobody who is
-- configured as it was before can bring old limits back.
CREATE FUNCTION fleet.declare_agreed(
    _agreed_at timestamptz, _id text, _name text, _counts int[], _seconds int[], _retries int[])
RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM fleet.about FOR UPDATE;
    IF NOT EXISTS (SELECT 1 FROM fleet.agreed WHERE at = _agreed_at) THEN RETURN false; END IF;
    PERFORM fleet.declare_key(_id, _name, _counts, _seconds, _retries);
    RETURN true;
END $$;

-- Close slots: each with how its request ended, or 'unsent', and how many seconds ago that was. May be repeated. A slot
-- counts from when its request ended; from its deadline if that was before, as it had ended by then, or if the request
-- was abandoned, as it may still arrive.
CREATE FUNCTION fleet.close_slots(_slots bigint[], _outcomes text[], _ago double precision[] DEFAULT NULL) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    _now timestamptz;
BEGIN
    IF coalesce(cardinality(_slots), 0) = 0 THEN RETURN; END IF;
    PERFORM 1 FROM fleet.keys k
      WHERE k.goes_alone AND k.id IN (SELECT s.key_id FROM fleet.slots s WHERE s.id = ANY (_slots))
      ORDER BY k.id FOR UPDATE;
    _now := fleet.now();
    UPDATE fleet.slots s  -- rounded up, as where a record closes slots: a window must not free sooner than it was used
       SET finished_at = CASE WHEN c.outcome = 'abandoned' THEN s.deadline_at
               ELSE least(greatest(date_trunc('milliseconds', _now - make_interval(secs => coalesce(c.ago, 0)))
                                   + interval '1 millisecond', s.reserved_at), s.deadline_at) END,
           outcome = c.outcome
      FROM unnest(_slots, _outcomes, _ago) AS c (id, outcome, ago)
     WHERE s.id = c.id AND (s.finished_at IS NULL OR s.outcome = 'died');
    -- An answer to a request that was sent since the pause or block, and that is no refusal: all may send again.
    UPDATE fleet.keys k
       SET goes_alone = false, paused_since = NULL, paused_until = NULL, pauses = 0
      FROM unnest(_slots, _outcomes) AS c (id, outcome) JOIN fleet.slots s ON s.id = c.id
     WHERE k.id = s.key_id AND k.goes_alone AND c.id > k.covers
       AND c.outcome NOT IN ('unsent', 'died', 'abandoned', 'unavailable', 'throttled', 'quota_ended');
    UPDATE fleet.keys k
       SET blocked_since = NULL, blocked_until = NULL, blocked_by = NULL
      FROM unnest(_slots, _outcomes) AS c (id, outcome) JOIN fleet.slots s ON s.id = c.id
     WHERE k.id = s.key_id AND k.blocked_until IS NOT NULL AND c.id > k.covers AND c.outcome = 'answered';
END $$;

-- Bring a key back to now that has instants of a clock that was far ahead: else nothing of it would end until then.
-- Whatever ended later ends now, and what is out has its time from now: so no window ends early.
CREATE FUNCTION fleet.pull_back(_id text, _now timestamptz) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    UPDATE fleet.slots
       SET reserved_at = least(reserved_at, _now), deadline_at = least(deadline_at, _now + (deadline_at - reserved_at)),
           finished_at = CASE WHEN finished_at IS NOT NULL THEN _now + interval '1 millisecond' END
     WHERE key_id = _id AND counts_from > _now;
    UPDATE fleet.keys
       SET last_at = least(last_at, _now),
           blocked_until = CASE WHEN blocked_since > _now THEN _now + (blocked_until - blocked_since) ELSE blocked_until END,
           blocked_since = CASE WHEN blocked_since > _now THEN _now ELSE blocked_since END,
           paused_until = CASE WHEN paused_since > _now THEN _now + (paused_until - paused_since) ELSE paused_until END,
           paused_since = CASE WHEN paused_since > _now THEN _now ELSE paused_since END
     WHERE id = _id;
END $$;

-- Lock a key, and return it as it is by now: another timeline of the server begins with a block for its longest window.
CREATE FUNCTION fleet.lock_key(_id text) RETURNS fleet.keys
LANGUAGE plpgsql AS $$
DECLARE
    _key fleet.keys;
    _now timestamptz;
    _timeline int;
    _longest interval;
BEGIN
    PERFORM fleet.be_durable();
    SELECT * INTO _key FROM fleet.keys WHERE id = _id FOR UPDATE;
    IF NOT FOUND THEN
        RAISE 'the fleet has no key %', _id USING ERRCODE = 'no_data_found';
    END IF;
    -- Only now, with the lock: who had it before may have taken slots since this statement began. And time does not go
    -- back, whatever this server's does; unless it would stand still for longer than any window lasts.
    _now := fleet.now();
    SELECT coalesce(max(period), interval '1 hour') INTO _longest FROM fleet.limits WHERE key_id = _id;
    IF greatest(_key.last_at, _key.blocked_since, _key.paused_since) > _now + _longest THEN
        PERFORM fleet.pull_back(_id, _now);
        SELECT * INTO _key FROM fleet.keys WHERE id = _id;
    END IF;
    _now := greatest(_now, _key.last_at);
    _timeline := fleet.timeline();
    IF _key.timeline IS DISTINCT FROM _timeline THEN
        IF _key.timeline IS NOT NULL THEN
            -- A standby took over, and may not have heard of the last slots: they leave every window first. Nor of the
            -- last ids: none may be given away twice, as the log has one answer a slot.
            SELECT max(period) INTO _longest FROM fleet.limits WHERE key_id = _id;
            PERFORM setval('fleet.slots_id_seq', nextval('fleet.slots_id_seq') + 1000000000);
            IF _longest IS NOT NULL AND coalesce(_key.blocked_until, '-infinity') < _now + _longest THEN
                _key.blocked_since := _now;
                _key.blocked_until := _now + _longest + interval '1 millisecond';
                _key.blocked_by := 'another PostgreSQL server took over, which may not know the last requests';
                _key.covers := fleet.last_slot(_key.covers);
                _key.goes_alone := true;
            END IF;
            PERFORM fleet.lock_head();  -- which notes the timeline
        END IF;
        _key.timeline := _timeline;
        UPDATE fleet.keys SET timeline = _timeline, blocked_since = _key.blocked_since,
               blocked_until = _key.blocked_until, blocked_by = _key.blocked_by, covers = _key.covers,
               goes_alone = _key.goes_alone
         WHERE id = _id;
    END IF;
    _key.last_at := _now;
    RETURN _key;
END $$;

-- The last slot that was taken, of any key; at least _least.
CREATE FUNCTION fleet.last_slot(_least bigint) RETURNS bigint
LANGUAGE sql VOLATILE AS $$ SELECT greatest(_least, (SELECT max(id) FROM fleet.slots)) $$;

-- How many slots of a key a limit still admits.
CREATE FUNCTION fleet.room(_limit fleet.limits, _now timestamptz) RETURNS int
LANGUAGE sql STABLE AS $$
    SELECT _limit.count - count(*)::int FROM fleet.slots s
     WHERE s.key_id = _limit.key_id AND s.counts_from > _now - _limit.period - interval '1 millisecond'
       AND (s.retry OR NOT _limit.is_for_retries)
$$;

-- When a key's limits admit the next slot, as quota/windows.py has it; not `certain` where that depends on an answer.
CREATE FUNCTION fleet.opening(_key text, _now timestamptz, OUT opens_at timestamptz, OUT certain boolean)
LANGUAGE plpgsql STABLE AS $$
DECLARE
    _limit fleet.limits;
    _out int;
    _at timestamptz;
BEGIN
    opens_at := _now;
    certain := true;
    SELECT count(*) INTO _out FROM fleet.slots s
     WHERE s.key_id = _key AND s.counts_from > _now AND s.finished_at IS NULL;
    FOR _limit IN SELECT * FROM fleet.limits l WHERE l.key_id = _key AND NOT l.is_for_retries LOOP
        IF _out >= _limit.count THEN
            IF _now + _limit.period > opens_at THEN
                opens_at := _now + _limit.period;
                certain := false;
            END IF;
        ELSE
            SELECT s.counts_from + _limit.period + interval '1 millisecond' INTO _at FROM fleet.slots s
             WHERE s.key_id = _key AND s.counts_from IS NOT NULL
               AND (s.counts_from <= _now OR s.finished_at IS NOT NULL)
             ORDER BY s.counts_from DESC OFFSET _limit.count - _out - 1 LIMIT 1;
            IF _at > opens_at THEN
                opens_at := _at;
                certain := true;
            END IF;
        END IF;
    END LOOP;
END $$;

-- Close slots, then take new ones of a key for symbols, as many as all of its limits admit, first come, first served.
-- What became of each symbol, in order:
--   granted   slot_id is permission to send a request until the deadline
--   done      the symbol has ended in this run, or was observed since it has to be
--   out       another request for it is out, until at most free_at
--   no_retry  the share of the day's allowance that retries may use is used up
--   wait      the key has no slot before free_at; by its windows and block alone, not before quota_at
-- And, in each row, the key as it is: slots up to `covers` must not be sent any more.
CREATE FUNCTION fleet.reserve(
    _key_id text, _member text, _lifetime interval, _runs bigint[], _symbols text[], _retries boolean[],
    _closed bigint[], _outcomes text[], _ago double precision[], _holder uuid DEFAULT NULL)
RETURNS TABLE (
    verdict text, slot_id bigint, at timestamptz, free_at timestamptz, quota_at timestamptz, certain boolean,
    covers bigint, pauses int, paused_since timestamptz, blocked_by text, remaining int, retries_left int)
LANGUAGE plpgsql AS $$
DECLARE
    _key fleet.keys;
    _now timestamptz;
    _room int := 2147483647;
    _remaining int;
    _retries_left int;
    _limit fleet.limits;
    _resumes_at timestamptz;
    _probe_until timestamptz;
    _is_closed boolean;
    _opens_at timestamptz;
    _certain boolean;
    _verdicts text[];
    _slots bigint[];
    _granted bigint;
BEGIN
    PERFORM 1 FROM fleet.keys k
      WHERE k.id = _key_id
         OR k.goes_alone AND k.id IN (SELECT s.key_id FROM fleet.slots s WHERE s.id = ANY (_closed))
      ORDER BY k.id FOR UPDATE;
    PERFORM fleet.close_slots(_closed, _outcomes, _ago);
    _key := fleet.lock_key(_key_id);
    _now := _key.last_at;
    FOR _limit IN SELECT * FROM fleet.limits l WHERE l.key_id = _key_id ORDER BY l.period LOOP
        IF _limit.is_for_retries THEN
            _retries_left := least(_retries_left, greatest(fleet.room(_limit, _now), 0));
        ELSE
            _remaining := greatest(fleet.room(_limit, _now), 0);  -- at last that of the longest window
            _room := least(_room, _remaining);
        END IF;
    END LOOP;
    IF _key.goes_alone THEN
        SELECT deadline_at INTO _probe_until FROM fleet.slots
         WHERE id = _key.probe AND finished_at IS NULL AND deadline_at > _now;
    END IF;
    _resumes_at := greatest(_key.blocked_until, _key.paused_until);
    _is_closed := coalesce(_resumes_at > _now, false) OR _probe_until IS NOT NULL;
    _room := CASE WHEN _is_closed THEN 0 WHEN _key.goes_alone THEN least(_room, 1) ELSE _room END;
    -- The members that took these have died or are cut off: the slots go on counting from their deadlines.
    UPDATE fleet.slots SET finished_at = deadline_at, outcome = 'died'
     WHERE id IN (SELECT d.id FROM fleet.slots d
                   WHERE d.symbol = ANY (_symbols) AND d.finished_at IS NULL AND d.deadline_at <= _now
                   ORDER BY d.id FOR UPDATE SKIP LOCKED);
    WITH asked AS (
        SELECT a.*, row_number() OVER (PARTITION BY a.symbol ORDER BY a.n) AS turn, CASE
                   WHEN EXISTS (SELECT 1 FROM fleet.outcomes o
                                 WHERE o.run_id = a.run AND o.symbol = a.symbol AND o.outcome <> 'deferred')
                     OR EXISTS (SELECT 1 FROM fleet.runs r JOIN fleet.symbols y ON y.symbol = a.symbol
                                 WHERE r.id = a.run AND coalesce(y.last_overview, y.last_look) > r.observed_since
                                   AND NOT fleet.is_ahead(y.last_look))
                        THEN 'done'
                   WHEN EXISTS (SELECT 1 FROM fleet.slots s WHERE s.symbol = a.symbol AND s.finished_at IS NULL)
                        THEN 'out'
                   WHEN a.retry AND _retries_left <= 0 THEN 'no_retry' END AS refusal
          FROM unnest(_runs, _symbols, _retries) WITH ORDINALITY AS a (run, symbol, retry, n)
    ), placed AS (
        SELECT a.*, CASE WHEN a.refusal IS NULL AND a.turn = 1 THEN
                    row_number() OVER (PARTITION BY a.refusal IS NULL AND a.turn = 1 ORDER BY a.n) END AS place,
               CASE WHEN a.retry AND a.refusal IS NULL AND a.turn = 1 THEN
                    row_number() OVER (PARTITION BY a.retry AND a.refusal IS NULL AND a.turn = 1 ORDER BY a.n) END
                    AS retry_place
          FROM asked a
    ), taken AS (
        INSERT INTO fleet.slots (key_id, run_id, symbol, member, retry, reserved_at, deadline_at, holder)
        SELECT _key_id, p.run, p.symbol, _member, p.retry, _now, _now + _lifetime, _holder FROM placed p
         WHERE p.place <= _room AND (p.retry_place IS NULL OR _retries_left IS NULL OR p.retry_place <= _retries_left)
         ORDER BY p.symbol
        ON CONFLICT DO NOTHING
        RETURNING id, symbol
    )
    SELECT array_agg(coalesce(p.refusal, CASE WHEN t.id IS NOT NULL THEN 'granted'
                                              WHEN p.place <= _room AND p.retry_place > _retries_left THEN 'no_retry'
                                              WHEN p.turn > 1 OR p.place <= _room THEN 'out'
                                              ELSE 'wait' END) ORDER BY p.n),
           array_agg(t.id ORDER BY p.n), max(t.id)
      INTO _verdicts, _slots, _granted
      FROM placed p LEFT JOIN taken t ON t.symbol = p.symbol AND p.turn = 1;
    UPDATE fleet.keys SET last_at = _now, probe = CASE WHEN goes_alone THEN coalesce(_granted, probe) END
     WHERE id = _key_id AND (_granted IS NOT NULL OR probe IS NOT NULL AND NOT goes_alone);
    _opens_at := _now;
    _certain := true;
    IF 'wait' = ANY (_verdicts) THEN
        SELECT o.opens_at, o.certain INTO _opens_at, _certain FROM fleet.opening(_key_id, _now) AS o;
    END IF;
    RETURN QUERY
    SELECT v.verdict, v.slot, _now,
           CASE WHEN v.verdict = 'out' THEN
                coalesce((SELECT s.deadline_at FROM fleet.slots s WHERE s.symbol = v.symbol AND s.finished_at IS NULL),
                         _now)
                ELSE greatest(_opens_at, _resumes_at, _probe_until) END,
           greatest(_opens_at, _key.blocked_until),
           CASE WHEN _probe_until IS NOT NULL AND v.slot IS NULL OR _key.goes_alone AND _granted IS NOT NULL THEN false
                ELSE _certain OR coalesce(_resumes_at >= _opens_at, false) END,
           _key.covers, _key.pauses, _key.paused_since, CASE WHEN _key.blocked_until > _opens_at THEN
           coalesce(_key.blocked_by, '') END,
           _remaining - coalesce(cardinality(array_remove(_slots, NULL)), 0),
           _retries_left - (SELECT count(*)::int FROM unnest(_slots, _retries) AS g (id, retry)
                             WHERE g.id IS NOT NULL AND g.retry)
      FROM unnest(_verdicts, _slots, _symbols) WITH ORDINALITY AS v (verdict, slot, symbol, n) ORDER BY v.n;
END $$;

-- Give back the slots of a process that it does not know of: the connection broke before it was told. How many.
CREATE FUNCTION fleet.give_back_unknown(_holder uuid, _known bigint[]) RETURNS int
LANGUAGE plpgsql AS $$
DECLARE
    _given_back int;
BEGIN
    UPDATE fleet.slots SET finished_at = least(fleet.now(), deadline_at), outcome = 'unsent'
     WHERE finished_at IS NULL AND holder = _holder AND id <> ALL (_known);
    GET DIAGNOSTICS _given_back = ROW_COUNT;
    RETURN _given_back;
END $$;

-- Pause a key, because the API throttled a slot's request: for _first, doubled for each pause in a row, or for as long
-- as the API says, if that is longer; at most for _longest. A refusal of a request sent before the last pause says
-- nothing.
-- Returns the last slot that must not be sent any more.
CREATE FUNCTION fleet.pause(_key_id text, _slot bigint, _first interval, _longest interval, _told interval)
RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    _key fleet.keys := fleet.lock_key(_key_id);
BEGIN
    IF _slot <= _key.covers THEN RETURN _key.covers; END IF;
    UPDATE fleet.keys
       SET paused_since = CASE WHEN pauses = 0 THEN _key.last_at ELSE paused_since END,
           paused_until = _key.last_at + least(greatest(_first * power(2, least(pauses, 20)), _told), _longest),
           pauses = pauses + 1, covers = fleet.last_slot(_slot), goes_alone = true, probe = NULL
     WHERE id = _key_id RETURNING covers INTO _key.covers;
    RETURN _key.covers;
END $$;

-- Block a key, because the API answered a slot's request that the quota has ended: for _first, or twice as long as the
-- last time, up to _longest. Such answers to requests that were out together count as one. Returns the last slot that
-- must not be sent any more.
CREATE FUNCTION fleet.end_quota(_key_id text, _slot bigint, _first interval, _longest interval) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    _key fleet.keys := fleet.lock_key(_key_id);
BEGIN
    IF _slot <= _key.block_covers THEN RETURN _key.covers; END IF;
    UPDATE fleet.keys
       SET blocked_since = _key.last_at, blocked_by = NULL,
           blocked_until = _key.last_at + CASE WHEN blocked_until > blocked_since
                                               THEN least(2 * (blocked_until - blocked_since), _longest)
                                               ELSE _first END,
           block_covers = fleet.last_slot(_slot), covers = fleet.last_slot(_slot), goes_alone = true, probe = NULL,
           paused_since = NULL, paused_until = NULL, pauses = 0
     WHERE id = _key_id RETURNING covers INTO _key.covers;
    RETURN _key.covers;
END $$;

-- Move what counts of a key along with this server's clock, which was set forward by as much, as a member has noticed by
-- its own: else each window would end too early. Members may each do so: nothing gets later than from now. Returns the
-- last slot that must not be sent any more.
CREATE FUNCTION fleet.distrust_clock(_key_id text, _by interval) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    _key fleet.keys := fleet.lock_key(_key_id);
    _now timestamptz := _key.last_at;
BEGIN
    UPDATE fleet.slots
       SET reserved_at = least(reserved_at + _by, _now),
           deadline_at = least(deadline_at + _by, _now + (deadline_at - reserved_at)),
           finished_at = CASE WHEN outcome IN ('died', 'abandoned') THEN least(finished_at + _by, _now + (deadline_at - reserved_at))
                              WHEN finished_at IS NOT NULL
                              THEN least(finished_at + _by, _now + interval '1 millisecond') END
     WHERE key_id = _key_id
       AND counts_from > _now - _by - interval '1 second'
                       - (SELECT max(l.period) FROM fleet.limits l WHERE l.key_id = _key_id);
    UPDATE fleet.keys
       SET blocked_since = least(blocked_since + _by, _now),
           blocked_until = least(blocked_until + _by, _now + (blocked_until - blocked_since))
     WHERE id = _key_id AND blocked_until > _now - _by;
    UPDATE fleet.keys
       SET paused_since = least(paused_since + _by, _now),
           paused_until = least(paused_until + _by, _now + (paused_until - paused_since))
     WHERE id = _key_id AND paused_until > _now - _by;
    UPDATE fleet.keys SET covers = fleet.last_slot(covers) WHERE id = _key_id RETURNING covers INTO _key.covers;
    RETURN _key.covers;
END $$;

-- Delete slots that no window can hold any more: older than the longest one and a day. Return how many; at most _most.
CREATE FUNCTION fleet.prune_slots(_most int) RETURNS int
LANGUAGE plpgsql AS $$
DECLARE
    _before timestamptz := fleet.now() - interval '24 hours'
                         - coalesce((SELECT max(period) FROM fleet.limits), interval '0');
    _deleted int;
BEGIN
    DELETE FROM fleet.slots
     WHERE id IN (SELECT s.id FROM (SELECT * FROM fleet.slots ORDER BY id LIMIT _most) s
                   WHERE coalesce(s.finished_at, s.deadline_at) < _before);
    GET DIAGNOSTICS _deleted = ROW_COUNT;
    RETURN _deleted;
END $$;
