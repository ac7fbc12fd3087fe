-- +goose Up

-- Place in the chain of audit rows; NULL until a seal has taken the row in.
ALTER TABLE audit ADD COLUMN link INTEGER;
CREATE UNIQUE INDEX audit_link ON audit (link);
CREATE INDEX audit_loose ON audit (at) WHERE link IS NULL;

-- A seal holds the rows first to last of the chain, and the seal before it. newest
-- is the latest time of any row so far.
CREATE TABLE audit_seals (
    no        INTEGER PRIMARY KEY,
    first     INTEGER NOT NULL,
    last      INTEGER NOT NULL,
    newest    INTEGER NOT NULL,
    at        INTEGER NOT NULL,
    previous  BLOB NOT NULL,
    hash      BLOB NOT NULL,
    key       INTEGER NOT NULL,
    signature BLOB NOT NULL
) STRICT;

-- Who of several servers does what only one may do at a time.
CREATE TABLE leases (
    name   TEXT PRIMARY KEY,
    holder TEXT NOT NULL,
    until  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What was dropped, day by day, as signed files. waiting is how many backups,
-- copies and kiosks may still hold something of the day.
CREATE TABLE certificates (
    day     INTEGER NOT NULL,
    version INTEGER NOT NULL,
    made    INTEGER NOT NULL,
    waiting INTEGER NOT NULL,
    body    BLOB NOT NULL,
    PRIMARY KEY (day, version)
) STRICT, WITHOUT ROWID;

-- Days that are being dropped, and what has gone so far: a server may die between
-- two steps.
CREATE TABLE drops (
    day      INTEGER PRIMARY KEY,
    shredded INTEGER NOT NULL,
    rows     INTEGER NOT NULL,
    letters  INTEGER NOT NULL,
    people   INTEGER NOT NULL,
    done     INTEGER
) STRICT;

-- Backups and other copies that are gone, as somebody or the server itself has
-- seen.
CREATE TABLE copies_gone (
    id   TEXT PRIMARY KEY,
    gone INTEGER NOT NULL,
    said_by TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- What people ask for. sealed is who they are and what they said, under a key
-- that is not in the database; NULL when it is of no more use.
CREATE TABLE rights_requests (
    id        TEXT PRIMARY KEY,
    kind      TEXT NOT NULL,
    state     TEXT NOT NULL,
    office    TEXT NOT NULL,
    received  INTEGER NOT NULL,
    answer_by INTEGER NOT NULL,
    fulfil_by INTEGER NOT NULL,
    answered  INTEGER,
    done      INTEGER,
    reason    TEXT NOT NULL,
    clerk     TEXT NOT NULL,
    officer   TEXT NOT NULL,
    sealed    BLOB,
    version   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX rights_requests_state ON rights_requests (state, fulfil_by);

-- Persons that were erased, so that a backup does not bring them back. A person
-- is a random number that nothing else leads to any more.
CREATE TABLE erasures (
    person INTEGER PRIMARY KEY,
    at     INTEGER NOT NULL,
    proof  BLOB NOT NULL
) STRICT;

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
