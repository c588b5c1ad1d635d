-- A symbol that has snapshots and is answered {} is news about the API, not about the company: it stays due for a week.

-- When the symbol's overview was last observed. `last_look` is that, or when the API last answered {}.
ALTER TABLE symbols ADD COLUMN last_overview TEXT;

UPDATE symbols SET last_overview = CASE state
    WHEN 'covered' THEN last_look
    ELSE (SELECT confirmed_at FROM snapshots WHERE snapshots.symbol = symbols.symbol ORDER BY observed_at DESC LIMIT 1)
END;

-- `next_try` was whole days after the last {}: a daily schedule missed it by milliseconds.
UPDATE symbols SET next_try = strftime('%Y-%m-%dT%H:%M:%fZ', next_try, '-4 hours')
 WHERE next_try IS NOT NULL AND last_overview IS NULL;

-- With snapshots: none in the first week of {}, then 1, 2, 4, ... 30 days less 4 hours after the last {}, as derive_state
-- has it.
UPDATE symbols SET next_try = (
    SELECT CASE count(*)
             WHEN 0 THEN NULL
             ELSE strftime('%Y-%m-%dT%H:%M:%fZ', symbols.last_look, min(1 << min(count(*) - 1, 5), 30) || ' days',
                           '-4 hours')
           END
      FROM uncovered
     WHERE uncovered.symbol = symbols.symbol
       AND at >= strftime('%Y-%m-%dT%H:%M:%fZ', symbols.since, '+7 days', '-4 hours')
       AND at > symbols.last_overview AND at <= symbols.last_look)
 WHERE next_try IS NOT NULL AND last_overview IS NOT NULL;

-- Of the unknown symbols of a run, how many had snapshots.
ALTER TABLE runs ADD COLUMN uncovered INTEGER NOT NULL DEFAULT 0;
