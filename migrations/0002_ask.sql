-- What questions need besides: since when the API does not cover a symbol, and views that answer by seeking.

-- Every look that found the symbol not covered: the API answered {}.
CREATE TABLE uncovered (
    symbol TEXT NOT NULL,
    at TEXT NOT NULL,
    PRIMARY KEY (symbol, at)
) STRICT, WITHOUT ROWID;

INSERT OR IGNORE INTO uncovered (symbol, at) SELECT symbol, at FROM outcomes WHERE outcome = 'unknown';

DROP VIEW latest_overviews;
DROP VIEW overviews;

-- Most snapshots are never confirmed: what would only repeat `observed_at` is not stored, 24 bytes of 300.
CREATE TABLE snapshots_anew (
    symbol TEXT NOT NULL,
    observed_at TEXT NOT NULL,
    reconfirmed_at TEXT,
    confirmed_at TEXT NOT NULL AS (coalesce(reconfirmed_at, observed_at)) VIRTUAL,
    profile_id INTEGER NOT NULL REFERENCES profiles (id),
    statement_id INTEGER NOT NULL REFERENCES statements (id),
    layout_id INTEGER NOT NULL REFERENCES layouts (id),
    market_capitalization INTEGER,
    pe_ratio REAL,
    peg_ratio REAL,
    dividend_yield REAL,
    eps REAL,
    return_on_equity_ttm REAL,
    diluted_eps_ttm REAL,
    analyst_target_price REAL,
    trailing_pe REAL,
    forward_pe REAL,
    price_to_sales_ratio_ttm REAL,
    price_to_book_ratio REAL,
    ev_to_revenue REAL,
    ev_to_ebitda REAL,
    beta REAL,
    week_52_high REAL,
    week_52_low REAL,
    day_50_moving_average REAL,
    day_200_moving_average REAL,
    extra TEXT,
    PRIMARY KEY (symbol, observed_at)
) STRICT, WITHOUT ROWID;

INSERT INTO snapshots_anew (
    symbol,
    observed_at,
    reconfirmed_at,
    profile_id,
    statement_id,
    layout_id,
    market_capitalization,
    pe_ratio,
    peg_ratio,
    dividend_yield,
    eps,
    return_on_equity_ttm,
    diluted_eps_ttm,
    analyst_target_price,
    trailing_pe,
    forward_pe,
    price_to_sales_ratio_ttm,
    price_to_book_ratio,
    ev_to_revenue,
    ev_to_ebitda,
    beta,
    week_52_high,
    week_52_low,
    day_50_moving_average,
    day_200_moving_average,
    extra
)
SELECT
    symbol,
    observed_at,
    nullif(confirmed_at, observed_at),
    profile_id,
    statement_id,
    layout_id,
    market_capitalization,
    pe_ratio,
    peg_ratio,
    dividend_yield,
    eps,
    return_on_equity_ttm,
    diluted_eps_ttm,
    analyst_target_price,
    trailing_pe,
    forward_pe,
    price_to_sales_ratio_ttm,
    price_to_book_ratio,
    ev_to_revenue,
    ev_to_ebitda,
    beta,
    week_52_high,
    week_52_low,
    day_50_moving_average,
    day_200_moving_average,
    -- "NONE" is how the API spells that it has no address. It was noted; now any other spelling is.
    CASE
        WHEN json_extract(extra, '$.Address') = 'NONE' THEN nullif(json_remove(extra, '$.Address'), '{}')
        WHEN json_type(extra, '$.Address') IS NULL AND keys LIKE '%"Address"%' AND address IS NULL
            THEN json_set(coalesce(extra, '{}'), '$.Address', 'None')
        ELSE extra
    END
FROM snapshots
JOIN profiles ON profiles.id = profile_id
JOIN layouts ON layouts.id = layout_id;

DROP TABLE snapshots;
ALTER TABLE snapshots_anew RENAME TO snapshots;

-- The field catalogue, for those who ask in SQL. `fiscal`: read off a quarter's statements, which may be restated.
CREATE TABLE fields (
    field TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    part TEXT NOT NULL,
    unit TEXT NOT NULL,
    fiscal INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO fields (field, name, kind, part, unit, fiscal) VALUES
    ('symbol', 'Symbol', 'text', 'profile', '', 0),
    ('asset_type', 'AssetType', 'text', 'profile', '', 0),
    ('name', 'Name', 'text', 'profile', '', 0),
    ('description', 'Description', 'text', 'profile', '', 0),
    ('cik', 'CIK', 'text', 'profile', '', 0),
    ('exchange', 'Exchange', 'text', 'profile', '', 0),
    ('currency', 'Currency', 'text', 'profile', '', 0),
    ('country', 'Country', 'text', 'profile', '', 0),
    ('sector', 'Sector', 'text', 'profile', '', 0),
    ('industry', 'Industry', 'text', 'profile', '', 0),
    ('address', 'Address', 'text', 'profile', '', 0),
    ('official_site', 'OfficialSite', 'text', 'profile', '', 0),
    ('fiscal_year_end', 'FiscalYearEnd', 'text', 'profile', '', 0),
    ('latest_quarter', 'LatestQuarter', 'date', 'reported', 'date', 0),
    ('market_capitalization', 'MarketCapitalization', 'integer', 'daily', 'USD', 0),
    ('ebitda', 'EBITDA', 'integer', 'reported', 'reporting currency', 1),
    ('pe_ratio', 'PERatio', 'real', 'daily', 'ratio', 0),
    ('peg_ratio', 'PEGRatio', 'real', 'daily', 'ratio', 0),
    ('book_value', 'BookValue', 'real', 'reported', 'reporting currency per share', 1),
    ('dividend_per_share', 'DividendPerShare', 'real', 'reported', 'USD per share', 0),
    ('dividend_yield', 'DividendYield', 'real', 'daily', 'fraction', 0),
    ('eps', 'EPS', 'real', 'daily', 'USD per share', 0),
    ('revenue_per_share_ttm', 'RevenuePerShareTTM', 'real', 'reported', 'reporting currency per share', 1),
    ('profit_margin', 'ProfitMargin', 'real', 'reported', 'fraction', 1),
    ('operating_margin_ttm', 'OperatingMarginTTM', 'real', 'reported', 'fraction', 1),
    ('return_on_assets_ttm', 'ReturnOnAssetsTTM', 'real', 'reported', 'fraction', 1),
    ('return_on_equity_ttm', 'ReturnOnEquityTTM', 'real', 'daily', 'fraction', 0),
    ('revenue_ttm', 'RevenueTTM', 'integer', 'reported', 'reporting currency', 1),
    ('gross_profit_ttm', 'GrossProfitTTM', 'integer', 'reported', 'reporting currency', 1),
    ('diluted_eps_ttm', 'DilutedEPSTTM', 'real', 'daily', 'USD per share', 0),
    ('quarterly_earnings_growth_yoy', 'QuarterlyEarningsGrowthYOY', 'real', 'reported', 'fraction', 1),
    ('quarterly_revenue_growth_yoy', 'QuarterlyRevenueGrowthYOY', 'real', 'reported', 'fraction', 1),
    ('analyst_target_price', 'AnalystTargetPrice', 'real', 'daily', 'USD per share', 0),
    ('analyst_rating_strong_buy', 'AnalystRatingStrongBuy', 'integer', 'reported', 'analysts', 0),
    ('analyst_rating_buy', 'AnalystRatingBuy', 'integer', 'reported', 'analysts', 0),
    ('analyst_rating_hold', 'AnalystRatingHold', 'integer', 'reported', 'analysts', 0),
    ('analyst_rating_sell', 'AnalystRatingSell', 'integer', 'reported', 'analysts', 0),
    ('analyst_rating_strong_sell', 'AnalystRatingStrongSell', 'integer', 'reported', 'analysts', 0),
    ('trailing_pe', 'TrailingPE', 'real', 'daily', 'ratio', 0),
    ('forward_pe', 'ForwardPE', 'real', 'daily', 'ratio', 0),
    ('price_to_sales_ratio_ttm', 'PriceToSalesRatioTTM', 'real', 'daily', 'ratio', 0),
    ('price_to_book_ratio', 'PriceToBookRatio', 'real', 'daily', 'ratio', 0),
    ('ev_to_revenue', 'EVToRevenue', 'real', 'daily', 'ratio', 0),
    ('ev_to_ebitda', 'EVToEBITDA', 'real', 'daily', 'ratio', 0),
    ('beta', 'Beta', 'real', 'daily', 'ratio', 0),
    ('week_52_high', '52WeekHigh', 'real', 'daily', 'USD per share', 0),
    ('week_52_low', '52WeekLow', 'real', 'daily', 'USD per share', 0),
    ('day_50_moving_average', '50DayMovingAverage', 'real', 'daily', 'USD per share', 0),
    ('day_200_moving_average', '200DayMovingAverage', 'real', 'daily', 'USD per share', 0),
    ('shares_outstanding', 'SharesOutstanding', 'integer', 'reported', 'shares', 0),
    ('shares_float', 'SharesFloat', 'integer', 'reported', 'shares', 0),
    ('percent_insiders', 'PercentInsiders', 'real', 'reported', 'percent points', 0),
    ('percent_institutions', 'PercentInstitutions', 'real', 'reported', 'percent points', 0),
    ('dividend_date', 'DividendDate', 'date', 'reported', 'date', 0),
    ('ex_dividend_date', 'ExDividendDate', 'date', 'reported', 'date', 0);

-- The views are written so that DuckDB, which takes them over and runs them itself, understands them too: conditions
-- under WHERE, no generated columns, one type of value a CASE.

-- Every snapshot, all columns, in the order of the API's document. By way of the symbols, so that an interval of
-- `observed_at` is a seek for each, not a read of the whole table: a cross-section of a day among years is near.
CREATE VIEW overviews AS
SELECT
    symbols.symbol, snapshots.observed_at, coalesce(reconfirmed_at, observed_at) AS confirmed_at,
    asset_type, name, description, cik, exchange, currency, country, sector, industry, address, official_site,
    fiscal_year_end, latest_quarter, market_capitalization, ebitda, pe_ratio, peg_ratio, book_value,
    dividend_per_share, dividend_yield, eps, revenue_per_share_ttm, profit_margin, operating_margin_ttm,
    return_on_assets_ttm, return_on_equity_ttm, revenue_ttm, gross_profit_ttm, diluted_eps_ttm,
    quarterly_earnings_growth_yoy, quarterly_revenue_growth_yoy, analyst_target_price,
    analyst_rating_strong_buy, analyst_rating_buy, analyst_rating_hold, analyst_rating_sell,
    analyst_rating_strong_sell, trailing_pe, forward_pe, price_to_sales_ratio_ttm, price_to_book_ratio,
    ev_to_revenue, ev_to_ebitda, beta, week_52_high, week_52_low, day_50_moving_average, day_200_moving_average,
    shares_outstanding, shares_float, percent_insiders, percent_institutions, dividend_date, ex_dividend_date,
    extra
FROM symbols
CROSS JOIN snapshots
CROSS JOIN profiles
CROSS JOIN statements
WHERE snapshots.symbol = symbols.symbol
    AND profiles.id = snapshots.profile_id
    AND statements.id = snapshots.statement_id;

-- The newest snapshot of each symbol: found by a seek, where max() in a join would read each symbol's whole past.
CREATE VIEW latest_overviews AS
SELECT *
FROM overviews
WHERE observed_at = (
    SELECT newest.observed_at FROM snapshots AS newest
     WHERE newest.symbol = overviews.symbol
     ORDER BY newest.observed_at DESC LIMIT 1
);

-- Each value that differs from the one in the snapshot before: `last_confirmed_at` is when the old one was last seen,
-- `observed_at` when the new one first was; `change` is relative, where both are numbers.
CREATE VIEW overview_changes AS
SELECT symbol, field, part, before, after, CASE WHEN before <> 0 THEN (after - before) * 1.0 / abs(before) END AS change, last_confirmed_at, observed_at
FROM (
SELECT symbols.symbol, fields.field, fields.part,
    CASE fields.field
      WHEN 'market_capitalization' THEN was.market_capitalization WHEN 'pe_ratio' THEN was.pe_ratio
      WHEN 'peg_ratio' THEN was.peg_ratio WHEN 'dividend_yield' THEN was.dividend_yield
      WHEN 'eps' THEN was.eps WHEN 'return_on_equity_ttm' THEN was.return_on_equity_ttm
      WHEN 'diluted_eps_ttm' THEN was.diluted_eps_ttm
      WHEN 'analyst_target_price' THEN was.analyst_target_price WHEN 'trailing_pe' THEN was.trailing_pe
      WHEN 'forward_pe' THEN was.forward_pe
      WHEN 'price_to_sales_ratio_ttm' THEN was.price_to_sales_ratio_ttm
      WHEN 'price_to_book_ratio' THEN was.price_to_book_ratio WHEN 'ev_to_revenue' THEN was.ev_to_revenue
      WHEN 'ev_to_ebitda' THEN was.ev_to_ebitda WHEN 'beta' THEN was.beta
      WHEN 'week_52_high' THEN was.week_52_high WHEN 'week_52_low' THEN was.week_52_low
      WHEN 'day_50_moving_average' THEN was.day_50_moving_average
      WHEN 'day_200_moving_average' THEN was.day_200_moving_average
    END AS before,
    CASE fields.field
      WHEN 'market_capitalization' THEN now.market_capitalization WHEN 'pe_ratio' THEN now.pe_ratio
      WHEN 'peg_ratio' THEN now.peg_ratio WHEN 'dividend_yield' THEN now.dividend_yield
      WHEN 'eps' THEN now.eps WHEN 'return_on_equity_ttm' THEN now.return_on_equity_ttm
      WHEN 'diluted_eps_ttm' THEN now.diluted_eps_ttm
      WHEN 'analyst_target_price' THEN now.analyst_target_price WHEN 'trailing_pe' THEN now.trailing_pe
      WHEN 'forward_pe' THEN now.forward_pe
      WHEN 'price_to_sales_ratio_ttm' THEN now.price_to_sales_ratio_ttm
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
    AND fields.part = 'daily'
)
WHERE before <> after OR (before IS NULL) <> (after IS NULL)
UNION ALL
SELECT symbol, field, part, before, after, CASE WHEN before <> 0 THEN (after - before) * 1.0 / abs(before) END AS change, last_confirmed_at, observed_at
FROM (
SELECT symbols.symbol, fields.field, fields.part,
    CASE fields.field
      WHEN 'ebitda' THEN old.ebitda WHEN 'book_value' THEN old.book_value
      WHEN 'dividend_per_share' THEN old.dividend_per_share
      WHEN 'revenue_per_share_ttm' THEN old.revenue_per_share_ttm
      WHEN 'profit_margin' THEN old.profit_margin WHEN 'operating_margin_ttm' THEN old.operating_margin_ttm
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
      WHEN 'revenue_per_share_ttm' THEN new.revenue_per_share_ttm
      WHEN 'profit_margin' THEN new.profit_margin WHEN 'operating_margin_ttm' THEN new.operating_margin_ttm
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
    AND fields.part = 'reported' AND fields.kind IN ('integer', 'real')
)
WHERE before <> after OR (before IS NULL) <> (after IS NULL)
UNION ALL
SELECT symbol, field, part, before, after, NULL AS change, last_confirmed_at, observed_at
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
    AND fields.part = 'reported' AND fields.kind = 'date'
)
WHERE before <> after OR (before IS NULL) <> (after IS NULL)
UNION ALL
SELECT symbol, field, part, before, after, NULL AS change, last_confirmed_at, observed_at
FROM (
SELECT symbols.symbol, fields.field, fields.part,
    CASE fields.field
      WHEN 'asset_type' THEN old.asset_type WHEN 'name' THEN old.name
      WHEN 'description' THEN old.description WHEN 'cik' THEN old.cik WHEN 'exchange' THEN old.exchange
      WHEN 'currency' THEN old.currency WHEN 'country' THEN old.country WHEN 'sector' THEN old.sector
      WHEN 'industry' THEN old.industry WHEN 'address' THEN old.address
      WHEN 'official_site' THEN old.official_site WHEN 'fiscal_year_end' THEN old.fiscal_year_end
    END AS before,
    CASE fields.field
      WHEN 'asset_type' THEN new.asset_type WHEN 'name' THEN new.name
      WHEN 'description' THEN new.description WHEN 'cik' THEN new.cik WHEN 'exchange' THEN new.exchange
      WHEN 'currency' THEN new.currency WHEN 'country' THEN new.country WHEN 'sector' THEN new.sector
      WHEN 'industry' THEN new.industry WHEN 'address' THEN new.address
      WHEN 'official_site' THEN new.official_site WHEN 'fiscal_year_end' THEN new.fiscal_year_end
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
    AND fields.part = 'profile' AND fields.field <> 'symbol'
)
WHERE before <> after OR (before IS NULL) <> (after IS NULL);

-- A second value for a quarter that had one in the snapshot before: what a company's statements say, not what analysts or
-- the market do.
CREATE VIEW restatements AS
SELECT symbol, field, latest_quarter, before, after,
    CASE WHEN before <> 0 THEN (after - before) * 1.0 / abs(before) END AS change,
    last_confirmed_at, observed_at
FROM (
SELECT symbols.symbol, fields.field, new.latest_quarter,
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
    AND fields.fiscal = 1 AND new.latest_quarter = old.latest_quarter
)
WHERE before <> after;
