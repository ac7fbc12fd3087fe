-- +goose Up

-- Place in the chain of audit rows; NULL until a seal has taken the row in.
ALTER TABLE audit ADD COLUMN link BIGINT;
CREATE UNIQUE INDEX audit_link ON audit (link);
CREATE INDEX audit_loose ON audit (at) WHERE link IS NULL;

-- A seal holds the rows first to last of the chain, and the seal before it. newest
-- is the latest time of any row so far.
CREATE TABLE audit_seals (
    no        BIGINT PRIMARY KEY,
    first     BIGINT NOT NULL,
    last      BIGINT NOT NULL,
    newest    BIGINT NOT NULL,
    at        BIGINT NOT NULL,
    previous  BYTEA NOT NULL,
    hash      BYTEA NOT NULL,
    key       BIGINT NOT NULL,
    signature BYTEA NOT NULL
);

-- Who of several servers does what only one may do at a time.
CREATE TABLE leases (
    name   TEXT PRIMARY KEY,
    holder TEXT NOT NULL,
    until  BIGINT NOT NULL
);

-- What was dropped, day by day, as signed files. waiting is how many backups,
-- copies and kiosks may still hold something of the day.
CREATE TABLE certificates (
    day     BIGINT NOT NULL,
    version BIGINT NOT NULL,
    made    BIGINT NOT NULL,
    waiting BIGINT NOT NULL,
    body    BYTEA NOT NULL,
    PRIMARY KEY (day, version)
);

-- Days that are being dropped, and what has gone so far: a server may die between
-- two steps.
CREATE TABLE drops (
    day      BIGINT PRIMARY KEY,
    shredded BIGINT NOT NULL,
    rows     BIGINT NOT NULL,
    letters  BIGINT NOT NULL,
    people   BIGINT NOT NULL,
    done     BIGINT
);

-- Backups and other copies that are gone, as somebody or the server itself has
-- seen.
CREATE TABLE copies_gone (
    id   TEXT PRIMARY KEY,
    gone BIGINT NOT NULL,
    said_by TEXT NOT NULL
);

-- What people ask for. sealed is who they are and what they said, under a key
-- that is not in the database; NULL when it is of no more use.
CREATE TABLE rights_requests (
    id        TEXT PRIMARY KEY,
    kind      TEXT NOT NULL,
    state     TEXT NOT NULL,
    office    TEXT NOT NULL,
    received  BIGINT NOT NULL,
    answer_by BIGINT NOT NULL,
    fulfil_by BIGINT NOT NULL,
    answered  BIGINT,
    done      BIGINT,
    reason    TEXT NOT NULL,
    clerk     TEXT NOT NULL,
    officer   TEXT NOT NULL,
    sealed    BYTEA,
    version   BIGINT NOT NULL
);
CREATE INDEX rights_requests_state ON rights_requests (state, fulfil_by);

-- Persons that were erased, so that a backup does not bring them back. A person
-- is a random number that nothing else leads to any more.
CREATE TABLE erasures (
    person BIGINT PRIMARY KEY,
    at     BIGINT NOT NULL,
    proof  BYTEA NOT NULL
);

-- +goose Down
DROP TABLE erasures;
DROP TABLE rights_requests;
DROP TABLE copies_gone;
DROP TABLE drops;
DROP TABLE certificates;
DROP TABLE leases;
DROP TABLE audit_seals;
DROP INDEX audit_loose;
DROP INDEX audit_link;
ALTER TABLE audit DROP COLUMN link;
