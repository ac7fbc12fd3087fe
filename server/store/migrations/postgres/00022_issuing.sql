-- +goose Up

-- What portals ask whoever holds the keys of cards and passes to sign, and how that
-- stands: 1 waits, 2 granted, 3 signed, 4 refused. public is the portal's, to which
-- answers are sealed. Rows are gone when the portal has its answer, or after an hour.
CREATE TABLE sign_orders (
    id      TEXT NOT NULL PRIMARY KEY,
    purpose TEXT NOT NULL,
    object  TEXT NOT NULL,
    made_by TEXT NOT NULL,
    made    BIGINT NOT NULL,
    passes  BIGINT NOT NULL,
    public  BYTEA NOT NULL,
    state   BIGINT NOT NULL,
    reason  TEXT NOT NULL
);
CREATE INDEX sign_orders_state ON sign_orders (state, made);
CREATE TABLE sign_parts (
    order_id TEXT NOT NULL,
    no       BIGINT NOT NULL,
    body     BYTEA NOT NULL,
    answer   BYTEA,
    PRIMARY KEY (order_id, no)
);

-- What was signed, and on which day (from 1970, of Vietnam) first: what quotas count.
CREATE TABLE signed_passes (
    purpose TEXT NOT NULL,
    number  BIGINT NOT NULL,
    issue   BIGINT NOT NULL,
    body    BYTEA NOT NULL,
    day     BIGINT NOT NULL,
    PRIMARY KEY (purpose, number, issue)
);
CREATE INDEX signed_passes_day ON signed_passes (purpose, day);

-- Quotas that somebody has raised for a day.
CREATE TABLE sign_raises (
    purpose  TEXT NOT NULL,
    day      BIGINT NOT NULL,
    batch    BIGINT NOT NULL,
    most     BIGINT NOT NULL,
    made_by  TEXT NOT NULL,
    made     BIGINT NOT NULL,
    PRIMARY KEY (purpose, day)
);

-- +goose Down
DROP TABLE sign_raises;
DROP TABLE signed_passes;
DROP TABLE sign_parts;
DROP TABLE sign_orders;
