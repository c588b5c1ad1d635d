-- What questions need besides: since when the API does not cover a symbol, and views that answer by seeking.

-- Every look that found the symbol not covered: the API answered {}.
CREATE TABLE uncovered (
    symbol TEXT NOT NULL,
    at TEXT NOT NULL,
    PRIMARY KEY (symbol, at)
) STRICT, WITHOUT ROWID;

INSERT OR IGNORE INTO uncovered (symbol, at) SELECT symbol, at FROM outcomes WHERE outcome = 'unknown';
