-- What is kept, and what led to it. Instants and dates are ISO-8601 text in UTC, so that they sort as time does.
-- Amounts are REAL or INTEGER; missing is NULL. The columns follow the field catalogue of pipeline/overview.py.

CREATE TABLE profiles (
    id INTEGER PRIMARY KEY,
    digest BLOB NOT NULL UNIQUE,
    asset_type TEXT,
    name TEXT,
    description TEXT,
    cik TEXT,
    exchange TEXT,
    currency TEXT,
    country TEXT,
    sector TEXT,
    industry TEXT,
    address TEXT,
    official_site TEXT,
    fiscal_year_end TEXT
) STRICT;

CREATE TABLE statements (
    id INTEGER PRIMARY KEY,
    digest BLOB NOT NULL UNIQUE,
    latest_quarter TEXT,
    ebitda INTEGER,
    book_value REAL,
    dividend_per_share REAL,
    revenue_per_share_ttm REAL,
    profit_margin REAL,
    operating_margin_ttm REAL,
    return_on_assets_ttm REAL,
    revenue_ttm INTEGER,
    gross_profit_ttm INTEGER,
    quarterly_earnings_growth_yoy REAL,
    quarterly_revenue_growth_yoy REAL,
    analyst_rating_strong_buy INTEGER,
    analyst_rating_buy INTEGER,
    analyst_rating_hold INTEGER,
    analyst_rating_sell INTEGER,
    analyst_rating_strong_sell INTEGER,
    shares_outstanding INTEGER,
    shares_float INTEGER,
    percent_insiders REAL,
    percent_institutions REAL,
    dividend_date TEXT,
    ex_dividend_date TEXT
) STRICT;

-- The keys of a document, in order: a JSON array.
CREATE TABLE layouts (
    id INTEGER PRIMARY KEY,
    digest BLOB NOT NULL UNIQUE,
    keys TEXT NOT NULL
) STRICT;

-- Clustered by symbol, so that a company's history lies together. `extra` is JSON: fields the catalogue lacks, and
-- spellings that the columns would not give back.
CREATE TABLE snapshots (
    symbol TEXT NOT NULL,
    observed_at TEXT NOT NULL,
    confirmed_at TEXT NOT NULL,
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

-- Every later look that found the snapshot before it unchanged.
CREATE TABLE looks (
    symbol TEXT NOT NULL,
    at TEXT NOT NULL,
    PRIMARY KEY (symbol, at)
) STRICT, WITHOUT ROWID;

-- What is known of each symbol ever asked. `since`: in this state since; `next_try`: unknown, and not asked before;
-- `last_try`: last asked, whatever came of it; `snapshots`: how many are kept.
CREATE TABLE symbols (
    symbol TEXT PRIMARY KEY,
    state TEXT CHECK (state IN ('covered', 'unknown')),
    since TEXT,
    last_look TEXT,
    next_try TEXT,
    last_try TEXT,
    last_outcome TEXT,
    snapshots INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

CREATE TABLE runs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    trigger TEXT NOT NULL,
    scheduled_for TEXT,
    started_at TEXT,
    finished_at TEXT,
    status TEXT NOT NULL,
    symbols INTEGER NOT NULL DEFAULT 0,
    due INTEGER NOT NULL DEFAULT 0,
    stored INTEGER NOT NULL DEFAULT 0,
    unchanged INTEGER NOT NULL DEFAULT 0,
    unknown INTEGER NOT NULL DEFAULT 0,
    failed INTEGER NOT NULL DEFAULT 0,
    rejected INTEGER NOT NULL DEFAULT 0,
    deferred INTEGER NOT NULL DEFAULT 0,
    requests INTEGER NOT NULL DEFAULT 0,
    seconds REAL,
    detail TEXT
) STRICT;

CREATE TABLE outcomes (
    run_id INTEGER NOT NULL REFERENCES runs (id),
    symbol TEXT NOT NULL,
    outcome TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    at TEXT NOT NULL,
    detail TEXT,
    PRIMARY KEY (run_id, symbol)
) STRICT, WITHOUT ROWID;

-- The ledger: a row for each slot, committed before its request leaves. Without `finished_at` it counts from
-- `deadline_at`, by which the request was over at the latest.
CREATE TABLE requests (
    id INTEGER PRIMARY KEY,
    run_id INTEGER NOT NULL REFERENCES runs (id),
    symbol TEXT NOT NULL,
    retry INTEGER NOT NULL,
    reserved_at TEXT NOT NULL,
    deadline_at TEXT NOT NULL,
    finished_at TEXT,
    outcome TEXT
) STRICT;

-- The API said that the quota has ended while the ledger had slots left: no request before `until`.
CREATE TABLE blocked (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    since TEXT NOT NULL,
    until TEXT NOT NULL
) STRICT;

-- Every snapshot, all columns, in the order of the API's document.
CREATE VIEW overviews AS
SELECT
    snapshots.symbol,
    snapshots.observed_at,
    snapshots.confirmed_at,
    profiles.asset_type,
    profiles.name,
    profiles.description,
    profiles.cik,
    profiles.exchange,
    profiles.currency,
    profiles.country,
    profiles.sector,
    profiles.industry,
    profiles.address,
    profiles.official_site,
    profiles.fiscal_year_end,
    statements.latest_quarter,
    snapshots.market_capitalization,
    statements.ebitda,
    snapshots.pe_ratio,
    snapshots.peg_ratio,
    statements.book_value,
    statements.dividend_per_share,
    snapshots.dividend_yield,
    snapshots.eps,
    statements.revenue_per_share_ttm,
    statements.profit_margin,
    statements.operating_margin_ttm,
    statements.return_on_assets_ttm,
    snapshots.return_on_equity_ttm,
    statements.revenue_ttm,
    statements.gross_profit_ttm,
    snapshots.diluted_eps_ttm,
    statements.quarterly_earnings_growth_yoy,
    statements.quarterly_revenue_growth_yoy,
    snapshots.analyst_target_price,
    statements.analyst_rating_strong_buy,
    statements.analyst_rating_buy,
    statements.analyst_rating_hold,
    statements.analyst_rating_sell,
    statements.analyst_rating_strong_sell,
    snapshots.trailing_pe,
    snapshots.forward_pe,
    snapshots.price_to_sales_ratio_ttm,
    snapshots.price_to_book_ratio,
    snapshots.ev_to_revenue,
    snapshots.ev_to_ebitda,
    snapshots.beta,
    snapshots.week_52_high,
    snapshots.week_52_low,
    snapshots.day_50_moving_average,
    snapshots.day_200_moving_average,
    statements.shares_outstanding,
    statements.shares_float,
    statements.percent_insiders,
    statements.percent_institutions,
    statements.dividend_date,
    statements.ex_dividend_date,
    snapshots.extra
FROM snapshots
JOIN profiles ON profiles.id = snapshots.profile_id
JOIN statements ON statements.id = snapshots.statement_id;

-- The newest snapshot of each symbol: found by a seek, where max() in a join would read each symbol's whole past.
CREATE VIEW latest_overviews AS
SELECT
    snapshots.symbol,
    snapshots.observed_at,
    snapshots.confirmed_at,
    profiles.asset_type,
    profiles.name,
    profiles.description,
    profiles.cik,
    profiles.exchange,
    profiles.currency,
    profiles.country,
    profiles.sector,
    profiles.industry,
    profiles.address,
    profiles.official_site,
    profiles.fiscal_year_end,
    statements.latest_quarter,
    snapshots.market_capitalization,
    statements.ebitda,
    snapshots.pe_ratio,
    snapshots.peg_ratio,
    statements.book_value,
    statements.dividend_per_share,
    snapshots.dividend_yield,
    snapshots.eps,
    statements.revenue_per_share_ttm,
    statements.profit_margin,
    statements.operating_margin_ttm,
    statements.return_on_assets_ttm,
    snapshots.return_on_equity_ttm,
    statements.revenue_ttm,
    statements.gross_profit_ttm,
    snapshots.diluted_eps_ttm,
    statements.quarterly_earnings_growth_yoy,
    statements.quarterly_revenue_growth_yoy,
    snapshots.analyst_target_price,
    statements.analyst_rating_strong_buy,
    statements.analyst_rating_buy,
    statements.analyst_rating_hold,
    statements.analyst_rating_sell,
    statements.analyst_rating_strong_sell,
    snapshots.trailing_pe,
    snapshots.forward_pe,
    snapshots.price_to_sales_ratio_ttm,
    snapshots.price_to_book_ratio,
    snapshots.ev_to_revenue,
    snapshots.ev_to_ebitda,
    snapshots.beta,
    snapshots.week_52_high,
    snapshots.week_52_low,
    snapshots.day_50_moving_average,
    snapshots.day_200_moving_average,
    statements.shares_outstanding,
    statements.shares_float,
    statements.percent_insiders,
    statements.percent_institutions,
    statements.dividend_date,
    statements.ex_dividend_date,
    snapshots.extra
FROM symbols
JOIN snapshots ON snapshots.symbol = symbols.symbol
    AND snapshots.observed_at = (
        SELECT newest.observed_at FROM snapshots AS newest
         WHERE newest.symbol = symbols.symbol
         ORDER BY newest.observed_at DESC LIMIT 1
    )
JOIN profiles ON profiles.id = snapshots.profile_id
JOIN statements ON statements.id = snapshots.statement_id;
