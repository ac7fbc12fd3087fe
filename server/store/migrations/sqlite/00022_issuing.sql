-- +goose Up

-- What portals ask whoever holds the keys of cards and passes to sign, and how that
-- stands: 1 waits, 2 granted, 3 signed, 4 refused. public is the portal's, to which
-- answers are sealed. Rows are gone when the portal has its answer, or after an hour.
CREATE TABLE sign_orders (
    id      TEXT NOT NULL PRIMARY KEY,
    purpose TEXT NOT NULL,
    object  TEXT NOT NULL,
    made_by TEXT NOT NULL,
    made    INTEGER NOT NULL,
    passes  INTEGER NOT NULL,
    public  BLOB NOT NULL,
    state   INTEGER NOT NULL,
    reason  TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX sign_orders_state ON sign_orders (state, made);
CREATE TABLE sign_parts (
    order_id TEXT NOT NULL,
    no       INTEGER NOT NULL,
    body     BLOB NOT NULL,
    answer   BLOB,
    PRIMARY KEY (order_id, no)
) STRICT, WITHOUT ROWID;

-- What was signed, and on which day (from 1970, of Vietnam) first: what quotas count.
CREATE TABLE signed_passes (
    purpose TEXT NOT NULL,
    number  INTEGER NOT NULL,
    issue   INTEGER NOT NULL,
    body    BLOB NOT NULL,
    day     INTEGER NOT NULL,
    PRIMARY KEY (purpose, number, issue)
) STRICT, WITHOUT ROWID;
CREATE INDEX signed_passes_day ON signed_passes (purpose, day);

-- Quotas that somebody has raised for a day.
CREATE TABLE sign_raises (
    purpose  TEXT NOT NULL,
    day      INTEGER NOT NULL,
    batch    INTEGER NOT NULL,
    most     INTEGER NOT NULL,
    made_by  TEXT NOT NULL,
    made     INTEGER NOT NULL,
    PRIMARY KEY (purpose, day)
) STRICT, WITHOUT ROWID;

-- +goose Down
DROP TABLE sign_raises;
DROP TABLE signed_passes;
DROP TABLE sign_parts;
DROP TABLE sign_orders;
