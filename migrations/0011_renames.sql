-- Companies through their changes of symbol. `renames`: what configurations say, `configuration` as in `universe`.
-- `at`: from when on the new symbol is the company's; NULL: both are, at any time. `reused`: the old one is another's since.
CREATE TABLE renames (
    symbol TEXT NOT NULL,
    renamed_to TEXT NOT NULL,
    at TEXT,
    reused INTEGER NOT NULL,
    configuration TEXT NOT NULL,
    PRIMARY KEY (symbol)
) STRICT, WITHOUT ROWID;

-- What follows of them: which company had each of their symbols, from `since` to before `until`.
CREATE TABLE spans (
    symbol TEXT NOT NULL,
    since TEXT NOT NULL,
    until TEXT NOT NULL,
    company TEXT NOT NULL,
    PRIMARY KEY (symbol, since)
) STRICT, WITHOUT ROWID;

-- The company of every symbol at any time, to join by. One that was never renamed has its symbol as its name.
CREATE VIEW companies AS
SELECT symbol, company, since, until FROM spans
UNION ALL
SELECT symbol, symbol AS company, '0001-01-01T00:00:00.000Z' AS since, '9999-12-31T23:59:59.999Z' AS until
FROM symbols
WHERE symbol NOT IN (SELECT symbol FROM spans);
