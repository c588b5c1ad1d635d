-- The views and the table `fields` as the field catalogue has them.

DROP VIEW IF EXISTS restatements;
DROP VIEW IF EXISTS overview_changes;

-- Each value that differs from the one in the snapshot before: `last_confirmed_at` is when the old one was last seen,
-- `observed_at` when the new one first was; `change` is relative, where both are numbers.
CREATE VIEW overview_changes AS
SELECT symbol, field, part, before, after,
    CASE WHEN before <> 0 THEN (after - before) * 1.0 / abs(before) END AS change,
    last_confirmed_at, observed_at
FROM (
SELECT symbols.symbol, fields.field, fields.part,
    CASE fields.field
      WHEN 'market_capitalization' THEN was.market_capitalization WHEN 'pe_ratio' THEN was.pe_ratio
      WHEN 'peg_ratio' THEN was.peg_ratio WHEN 'dividend_yield' THEN was.dividend_yield WHEN 'eps' THEN was.eps
      WHEN 'return_on_equity_ttm' THEN was.return_on_equity_ttm WHEN 'diluted_eps_ttm' THEN was.diluted_eps_ttm
      WHEN 'analyst_target_price' THEN was.analyst_target_price WHEN 'trailing_pe' THEN was.trailing_pe
      WHEN 'forward_pe' THEN was.forward_pe WHEN 'price_to_sales_ratio_ttm' THEN was.price_to_sales_ratio_ttm
      WHEN 'price_to_book_ratio' THEN was.price_to_book_ratio WHEN 'ev_to_revenue' THEN was.ev_to_revenue
      WHEN 'ev_to_ebitda' THEN was.ev_to_ebitda WHEN 'beta' THEN was.beta
      WHEN 'week_52_high' THEN was.week_52_high WHEN 'week_52_low' THEN was.week_52_low
      WHEN 'day_50_moving_average' THEN was.day_50_moving_average
      WHEN 'day_200_moving_average' THEN was.day_200_moving_average
    END AS before,
    CASE fields.field
      WHEN 'market_capitalization' THEN now.market_capitalization WHEN 'pe_ratio' THEN now.pe_ratio
      WHEN 'peg_ratio' THEN now.peg_ratio WHEN 'dividend_yield' THEN now.dividend_yield WHEN 'eps' THEN now.eps
      WHEN 'return_on_equity_ttm' THEN now.return_on_equity_ttm WHEN 'diluted_eps_ttm' THEN now.diluted_eps_ttm
      WHEN 'analyst_target_price' THEN now.analyst_target_price WHEN 'trailing_pe' THEN now.trailing_pe
      WHEN 'forward_pe' THEN now.forward_pe WHEN 'price_to_sales_ratio_ttm' THEN now.price_to_sales_ratio_ttm
      WHEN 'price_to_book_ratio' THEN now.price_to_book_ratio WHEN 'ev_to_revenue' THEN now.ev_to_revenue
      WHEN 'ev_to_ebitda' THEN now.ev_to_ebitda WHEN 'beta' THEN now.beta
      WHEN 'week_52_high' THEN now.week_52_high WHEN 'week_52_low' THEN now.week_52_low
      WHEN 'day_50_moving_average' THEN now.day_50_moving_average
      WHEN 'day_200_moving_average' THEN now.day_200_moving_average
    END AS after,
    coalesce(was.reconfirmed_at, was.observed_at) AS last_confirmed_at, now.observed_at
FROM symbols
CROSS JOIN snapshots AS now
CROSS JOIN snapshots AS was
CROSS JOIN fields
WHERE now.symbol = symbols.symbol AND was.symbol = now.symbol
    AND was.observed_at = (
        SELECT earlier.observed_at FROM snapshots AS earlier
         WHERE earlier.symbol = now.symbol AND earlier.observed_at < now.observed_at
         ORDER BY earlier.observed_at DESC LIMIT 1
    )
    AND fields.part = 'daily' AND fields.kind IN ('integer', 'real') AND fields.field <> 'symbol'
)
WHERE before <> after OR (before IS NULL) <> (after IS NULL)
UNION ALL
SELECT symbol, field, part, before, after,
    CASE WHEN before <> 0 THEN (after - before) * 1.0 / abs(before) END AS change,
    last_confirmed_at, observed_at
FROM (
SELECT symbols.symbol, fields.field, fields.part,
    CASE fields.field
      WHEN 'ebitda' THEN old.ebitda WHEN 'book_value' THEN old.book_value
      WHEN 'dividend_per_share' THEN old.dividend_per_share
      WHEN 'revenue_per_share_ttm' THEN old.revenue_per_share_ttm WHEN 'profit_margin' THEN old.profit_margin
      WHEN 'operating_margin_ttm' THEN old.operating_margin_ttm
      WHEN 'return_on_assets_ttm' THEN old.return_on_assets_ttm WHEN 'revenue_ttm' THEN old.revenue_ttm
      WHEN 'gross_profit_ttm' THEN old.gross_profit_ttm
      WHEN 'quarterly_earnings_growth_yoy' THEN old.quarterly_earnings_growth_yoy
      WHEN 'quarterly_revenue_growth_yoy' THEN old.quarterly_revenue_growth_yoy
      WHEN 'analyst_rating_strong_buy' THEN old.analyst_rating_strong_buy
      WHEN 'analyst_rating_buy' THEN old.analyst_rating_buy
      WHEN 'analyst_rating_hold' THEN old.analyst_rating_hold
      WHEN 'analyst_rating_sell' THEN old.analyst_rating_sell
      WHEN 'analyst_rating_strong_sell' THEN old.analyst_rating_strong_sell
      WHEN 'shares_outstanding' THEN old.shares_outstanding WHEN 'shares_float' THEN old.shares_float
      WHEN 'percent_insiders' THEN old.percent_insiders
      WHEN 'percent_institutions' THEN old.percent_institutions
    END AS before,
    CASE fields.field
      WHEN 'ebitda' THEN new.ebitda WHEN 'book_value' THEN new.book_value
      WHEN 'dividend_per_share' THEN new.dividend_per_share
      WHEN 'revenue_per_share_ttm' THEN new.revenue_per_share_ttm WHEN 'profit_margin' THEN new.profit_margin
      WHEN 'operating_margin_ttm' THEN new.operating_margin_ttm
      WHEN 'return_on_assets_ttm' THEN new.return_on_assets_ttm WHEN 'revenue_ttm' THEN new.revenue_ttm
      WHEN 'gross_profit_ttm' THEN new.gross_profit_ttm
      WHEN 'quarterly_earnings_growth_yoy' THEN new.quarterly_earnings_growth_yoy
      WHEN 'quarterly_revenue_growth_yoy' THEN new.quarterly_revenue_growth_yoy
      WHEN 'analyst_rating_strong_buy' THEN new.analyst_rating_strong_buy
      WHEN 'analyst_rating_buy' THEN new.analyst_rating_buy
      WHEN 'analyst_rating_hold' THEN new.analyst_rating_hold
      WHEN 'analyst_rating_sell' THEN new.analyst_rating_sell
      WHEN 'analyst_rating_strong_sell' THEN new.analyst_rating_strong_sell
      WHEN 'shares_outstanding' THEN new.shares_outstanding WHEN 'shares_float' THEN new.shares_float
      WHEN 'percent_insiders' THEN new.percent_insiders
      WHEN 'percent_institutions' THEN new.percent_institutions
    END AS after,
    coalesce(was.reconfirmed_at, was.observed_at) AS last_confirmed_at, now.observed_at
FROM symbols
CROSS JOIN snapshots AS now
CROSS JOIN snapshots AS was
CROSS JOIN statements AS old
CROSS JOIN statements AS new
CROSS JOIN fields
WHERE now.symbol = symbols.symbol AND was.symbol = now.symbol
    AND was.observed_at = (
        SELECT earlier.observed_at FROM snapshots AS earlier
         WHERE earlier.symbol = now.symbol AND earlier.observed_at < now.observed_at
         ORDER BY earlier.observed_at DESC LIMIT 1
    )
    AND old.id = was.statement_id AND new.id = now.statement_id AND now.statement_id <> was.statement_id
    AND fields.part = 'reported' AND fields.kind IN ('integer', 'real') AND fields.field <> 'symbol'
)
WHERE before <> after OR (before IS NULL) <> (after IS NULL)
UNION ALL
SELECT symbol, field, part, before, after,
    NULL AS change,
    last_confirmed_at, observed_at
FROM (
SELECT symbols.symbol, fields.field, fields.part,
    CASE fields.field
      WHEN 'latest_quarter' THEN old.latest_quarter WHEN 'dividend_date' THEN old.dividend_date
      WHEN 'ex_dividend_date' THEN old.ex_dividend_date
    END AS before,
    CASE fields.field
      WHEN 'latest_quarter' THEN new.latest_quarter WHEN 'dividend_date' THEN new.dividend_date
      WHEN 'ex_dividend_date' THEN new.ex_dividend_date
    END AS after,
    coalesce(was.reconfirmed_at, was.observed_at) AS last_confirmed_at, now.observed_at
FROM symbols
CROSS JOIN snapshots AS now
CROSS JOIN snapshots AS was
CROSS JOIN statements AS old
CROSS JOIN statements AS new
CROSS JOIN fields
WHERE now.symbol = symbols.symbol AND was.symbol = now.symbol
    AND was.observed_at = (
        SELECT earlier.observed_at FROM snapshots AS earlier
         WHERE earlier.symbol = now.symbol AND earlier.observed_at < now.observed_at
         ORDER BY earlier.observed_at DESC LIMIT 1
    )
    AND old.id = was.statement_id AND new.id = now.statement_id AND now.statement_id <> was.statement_id
    AND fields.part = 'reported' AND fields.kind IN ('text', 'date') AND fields.field <> 'symbol'
)
WHERE before <> after OR (before IS NULL) <> (after IS NULL)
UNION ALL
SELECT symbol, field, part, before, after,
    NULL AS change,
    last_confirmed_at, observed_at
FROM (
SELECT symbols.symbol, fields.field, fields.part,
    CASE fields.field
      WHEN 'asset_type' THEN old.asset_type WHEN 'name' THEN old.name WHEN 'description' THEN old.description
      WHEN 'cik' THEN old.cik WHEN 'exchange' THEN old.exchange WHEN 'currency' THEN old.currency
      WHEN 'country' THEN old.country WHEN 'sector' THEN old.sector WHEN 'industry' THEN old.industry
      WHEN 'address' THEN old.address WHEN 'official_site' THEN old.official_site
      WHEN 'fiscal_year_end' THEN old.fiscal_year_end
    END AS before,
    CASE fields.field
      WHEN 'asset_type' THEN new.asset_type WHEN 'name' THEN new.name WHEN 'description' THEN new.description
      WHEN 'cik' THEN new.cik WHEN 'exchange' THEN new.exchange WHEN 'currency' THEN new.currency
      WHEN 'country' THEN new.country WHEN 'sector' THEN new.sector WHEN 'industry' THEN new.industry
      WHEN 'address' THEN new.address WHEN 'official_site' THEN new.official_site
      WHEN 'fiscal_year_end' THEN new.fiscal_year_end
    END AS after,
    coalesce(was.reconfirmed_at, was.observed_at) AS last_confirmed_at, now.observed_at
FROM symbols
CROSS JOIN snapshots AS now
CROSS JOIN snapshots AS was
CROSS JOIN profiles AS old
CROSS JOIN profiles AS new
CROSS JOIN fields
WHERE now.symbol = symbols.symbol AND was.symbol = now.symbol
    AND was.observed_at = (
        SELECT earlier.observed_at FROM snapshots AS earlier
         WHERE earlier.symbol = now.symbol AND earlier.observed_at < now.observed_at
         ORDER BY earlier.observed_at DESC LIMIT 1
    )
    AND old.id = was.profile_id AND new.id = now.profile_id AND now.profile_id <> was.profile_id
    AND fields.part = 'profile' AND fields.kind IN ('text', 'date') AND fields.field <> 'symbol'
)
WHERE before <> after OR (before IS NULL) <> (after IS NULL);

-- A value that replaced another of the same quarter: what a company's statements say, not what analysts or the market
-- do. Each value is compared with the last one known of its quarter, however many snapshots, of whatever quarters, lie
-- between: an old quarter may be restated after the next has been reported. Like the query of `pipeline vintages`,
-- which it must agree with. From the inside out: where the statement changes; the snapshot that last had the new one's
-- quarter; the values that differ from that snapshot's; and, where that had none, the last snapshot of the quarter that
-- had one. Each step is a query of its own: SQLite seeks through all of them at once, and DuckDB, which joins, meets
-- few rows in each.
CREATE VIEW restatements AS
SELECT symbol, field, latest_quarter, before, after,
    CASE WHEN before <> 0 THEN (after - before) * 1.0 / abs(before) END AS change,
    last_confirmed_at, observed_at
FROM (
SELECT restated.symbol, field, restated.latest_quarter,
    CASE field
      WHEN 'ebitda' THEN old.ebitda WHEN 'book_value' THEN old.book_value
      WHEN 'revenue_per_share_ttm' THEN old.revenue_per_share_ttm WHEN 'profit_margin' THEN old.profit_margin
      WHEN 'operating_margin_ttm' THEN old.operating_margin_ttm
      WHEN 'return_on_assets_ttm' THEN old.return_on_assets_ttm WHEN 'revenue_ttm' THEN old.revenue_ttm
      WHEN 'gross_profit_ttm' THEN old.gross_profit_ttm
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
             WHEN 'ebitda' THEN old.ebitda WHEN 'book_value' THEN old.book_value
             WHEN 'revenue_per_share_ttm' THEN old.revenue_per_share_ttm
             WHEN 'profit_margin' THEN old.profit_margin
             WHEN 'operating_margin_ttm' THEN old.operating_margin_ttm
             WHEN 'return_on_assets_ttm' THEN old.return_on_assets_ttm WHEN 'revenue_ttm' THEN old.revenue_ttm
             WHEN 'gross_profit_ttm' THEN old.gross_profit_ttm
             WHEN 'quarterly_earnings_growth_yoy' THEN old.quarterly_earnings_growth_yoy
             WHEN 'quarterly_revenue_growth_yoy' THEN old.quarterly_revenue_growth_yoy
           END IS NOT NULL
         ORDER BY earlier.observed_at DESC LIMIT 1
    ) END AS was_at
FROM (
SELECT later.symbol, later.observed_at, later.latest_quarter, later.was_at, fields.field,
    CASE fields.field
      WHEN 'ebitda' THEN old.ebitda WHEN 'book_value' THEN old.book_value
      WHEN 'revenue_per_share_ttm' THEN old.revenue_per_share_ttm WHEN 'profit_margin' THEN old.profit_margin
      WHEN 'operating_margin_ttm' THEN old.operating_margin_ttm
      WHEN 'return_on_assets_ttm' THEN old.return_on_assets_ttm WHEN 'revenue_ttm' THEN old.revenue_ttm
      WHEN 'gross_profit_ttm' THEN old.gross_profit_ttm
      WHEN 'quarterly_earnings_growth_yoy' THEN old.quarterly_earnings_growth_yoy
      WHEN 'quarterly_revenue_growth_yoy' THEN old.quarterly_revenue_growth_yoy
    END AS before,
    CASE fields.field
      WHEN 'ebitda' THEN new.ebitda WHEN 'book_value' THEN new.book_value
      WHEN 'revenue_per_share_ttm' THEN new.revenue_per_share_ttm WHEN 'profit_margin' THEN new.profit_margin
      WHEN 'operating_margin_ttm' THEN new.operating_margin_ttm
      WHEN 'return_on_assets_ttm' THEN new.return_on_assets_ttm WHEN 'revenue_ttm' THEN new.revenue_ttm
      WHEN 'gross_profit_ttm' THEN new.gross_profit_ttm
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
