-- The view of restatements compares each value with the last one known of its quarter, however many snapshots, of
-- whatever quarters, lie between: an old quarter may be restated after the next has been reported. Like the query of
-- `pipeline vintages`, which it must agree with.

DROP VIEW restatements;

-- A value that replaced another of the same quarter: what a company's statements say, not what analysts or the market do.
-- From the inside out: where the statement changes; the snapshot that last had the new one's quarter; the values that
-- differ from that snapshot's; and, where that had none, the last snapshot of the quarter that had one. Each step is a
-- query of its own: SQLite seeks through all of them at once, and DuckDB, which joins, meets few rows in each.
CREATE VIEW restatements AS
SELECT symbol, field, latest_quarter, before, after,
    CASE WHEN before <> 0 THEN (after - before) * 1.0 / abs(before) END AS change,
    last_confirmed_at, observed_at
FROM (
SELECT restated.symbol, field, restated.latest_quarter,
    CASE field
      WHEN 'revenue_ttm' THEN old.revenue_ttm WHEN 'gross_profit_ttm' THEN old.gross_profit_ttm
      WHEN 'ebitda' THEN old.ebitda WHEN 'profit_margin' THEN old.profit_margin
      WHEN 'operating_margin_ttm' THEN old.operating_margin_ttm
      WHEN 'return_on_assets_ttm' THEN old.return_on_assets_ttm WHEN 'book_value' THEN old.book_value
      WHEN 'revenue_per_share_ttm' THEN old.revenue_per_share_ttm
      WHEN 'quarterly_earnings_growth_yoy' THEN old.quarterly_earnings_growth_yoy
      WHEN 'quarterly_revenue_growth_yoy' THEN old.quarterly_revenue_growth_yoy
    END AS before,
    after, coalesce(was.reconfirmed_at, was.observed_at) AS last_confirmed_at, restated.observed_at
FROM (
SELECT symbol, observed_at, latest_quarter, field, after,
    CASE WHEN before IS NOT NULL THEN was_at ELSE (
        SELECT earlier.observed_at FROM snapshots AS earlier CROSS JOIN statements AS old
         WHERE earlier.symbol = compared.symbol AND earlier.observed_at < compared.was_at
           AND old.id = earlier.statement_id AND old.latest_quarter = compared.latest_quarter
           AND CASE compared.field
             WHEN 'revenue_ttm' THEN old.revenue_ttm WHEN 'gross_profit_ttm' THEN old.gross_profit_ttm
             WHEN 'ebitda' THEN old.ebitda WHEN 'profit_margin' THEN old.profit_margin
             WHEN 'operating_margin_ttm' THEN old.operating_margin_ttm
             WHEN 'return_on_assets_ttm' THEN old.return_on_assets_ttm WHEN 'book_value' THEN old.book_value
             WHEN 'revenue_per_share_ttm' THEN old.revenue_per_share_ttm
             WHEN 'quarterly_earnings_growth_yoy' THEN old.quarterly_earnings_growth_yoy
             WHEN 'quarterly_revenue_growth_yoy' THEN old.quarterly_revenue_growth_yoy
           END IS NOT NULL
         ORDER BY earlier.observed_at DESC LIMIT 1
    ) END AS was_at
FROM (
SELECT later.symbol, later.observed_at, later.latest_quarter, later.was_at, fields.field,
    CASE fields.field
      WHEN 'revenue_ttm' THEN old.revenue_ttm WHEN 'gross_profit_ttm' THEN old.gross_profit_ttm
      WHEN 'ebitda' THEN old.ebitda WHEN 'profit_margin' THEN old.profit_margin
      WHEN 'operating_margin_ttm' THEN old.operating_margin_ttm
      WHEN 'return_on_assets_ttm' THEN old.return_on_assets_ttm WHEN 'book_value' THEN old.book_value
      WHEN 'revenue_per_share_ttm' THEN old.revenue_per_share_ttm
      WHEN 'quarterly_earnings_growth_yoy' THEN old.quarterly_earnings_growth_yoy
      WHEN 'quarterly_revenue_growth_yoy' THEN old.quarterly_revenue_growth_yoy
    END AS before,
    CASE fields.field
      WHEN 'revenue_ttm' THEN new.revenue_ttm WHEN 'gross_profit_ttm' THEN new.gross_profit_ttm
      WHEN 'ebitda' THEN new.ebitda WHEN 'profit_margin' THEN new.profit_margin
      WHEN 'operating_margin_ttm' THEN new.operating_margin_ttm
      WHEN 'return_on_assets_ttm' THEN new.return_on_assets_ttm WHEN 'book_value' THEN new.book_value
      WHEN 'revenue_per_share_ttm' THEN new.revenue_per_share_ttm
      WHEN 'quarterly_earnings_growth_yoy' THEN new.quarterly_earnings_growth_yoy
      WHEN 'quarterly_revenue_growth_yoy' THEN new.quarterly_revenue_growth_yoy
    END AS after
FROM (
SELECT symbol, observed_at, statement_id, latest_quarter, (
        SELECT earlier.observed_at FROM snapshots AS earlier CROSS JOIN statements AS old
         WHERE earlier.symbol = changed.symbol AND earlier.observed_at < changed.observed_at
           AND old.id = earlier.statement_id AND old.latest_quarter = statements.latest_quarter
         ORDER BY earlier.observed_at DESC LIMIT 1
    ) AS was_at
FROM (
SELECT symbols.symbol, now.observed_at, now.statement_id, (
        SELECT earlier.statement_id FROM snapshots AS earlier
         WHERE earlier.symbol = now.symbol AND earlier.observed_at < now.observed_at
         ORDER BY earlier.observed_at DESC LIMIT 1
    ) AS statement_before
FROM symbols
CROSS JOIN snapshots AS now
WHERE now.symbol = symbols.symbol
) AS changed
CROSS JOIN statements
WHERE statement_id <> statement_before AND statements.id = statement_id
) AS later
CROSS JOIN snapshots AS was
CROSS JOIN statements AS old
CROSS JOIN statements AS new
CROSS JOIN fields
WHERE was.symbol = later.symbol AND was.observed_at = was_at
    AND old.id = was.statement_id AND new.id = later.statement_id
    AND fields.fiscal = 1
) AS compared
WHERE before <> after OR (before IS NULL AND after IS NOT NULL)
) AS restated
CROSS JOIN snapshots AS was
CROSS JOIN statements AS old
WHERE was.symbol = restated.symbol AND was.observed_at = restated.was_at AND old.id = was.statement_id
)
WHERE before <> after;
