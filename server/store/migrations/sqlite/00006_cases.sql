-- +goose Up

-- A case of a disease. scope is the area of whoever opened it. wrapped is the
-- case's own key, under which sealed and all that other tables seal of it lie; both
-- are NULL once the case's end has passed. late is set while check-ins have come
-- since its last run that the run would have read.
CREATE TABLE cases (
    id         TEXT PRIMARY KEY,
    year       INTEGER NOT NULL,
    no         INTEGER NOT NULL,
    state      TEXT NOT NULL,
    profile    TEXT NOT NULL,
    scope      TEXT NOT NULL,
    opened_by  TEXT NOT NULL,
    opened     INTEGER NOT NULL,
    changed    INTEGER NOT NULL,
    ends       INTEGER NOT NULL,
    approval   TEXT NOT NULL,
    decided_by TEXT NOT NULL,
    decided    INTEGER,
    runs       INTEGER NOT NULL,
    late       INTEGER,
    version    INTEGER NOT NULL,
    wrapped    BLOB,
    sealed     BLOB,
    UNIQUE (year, no)
) STRICT;
CREATE INDEX cases_scope ON cases (scope, state);
CREATE INDEX cases_ends ON cases (ends) WHERE wrapped IS NOT NULL;

-- An officer looked without approval. sealed is why, and what the review says.
CREATE TABLE case_glasses (
    id          TEXT PRIMARY KEY,
    case_id     TEXT NOT NULL REFERENCES cases,
    made_by     TEXT NOT NULL,
    made        INTEGER NOT NULL,
    until       INTEGER NOT NULL,
    reviewed_by TEXT NOT NULL,
    reviewed    INTEGER,
    proper      INTEGER,
    sealed      BLOB
) STRICT, WITHOUT ROWID;
CREATE INDEX case_glasses_case ON case_glasses (case_id, made);

-- Each tracing of a case: what was found and, of the latest of each ring, a
-- fingerprint of what was read. reference is around whom a second ring is, zero of
-- a first.
CREATE TABLE case_runs (
    case_id     TEXT NOT NULL REFERENCES cases,
    no          INTEGER NOT NULL,
    made        INTEGER NOT NULL,
    made_by     TEXT NOT NULL,
    ring        INTEGER NOT NULL,
    reference   BLOB NOT NULL,
    began       INTEGER NOT NULL,
    sealed      BLOB NOT NULL,
    fingerprint BLOB,
    PRIMARY KEY (case_id, no)
) STRICT, WITHOUT ROWID;

-- Whom to call. reference stands for a person in this case alone.
CREATE TABLE case_calls (
    case_id   TEXT NOT NULL REFERENCES cases,
    reference BLOB NOT NULL,
    status    TEXT NOT NULL,
    made_by   TEXT NOT NULL,
    made      INTEGER NOT NULL,
    version   INTEGER NOT NULL,
    sealed    BLOB NOT NULL,
    PRIMARY KEY (case_id, reference)
) STRICT, WITHOUT ROWID;

-- What somebody is told of a case, on their page and, if it can be sent, by mail.
CREATE TABLE case_notices (
    id      TEXT PRIMARY KEY,
    account TEXT NOT NULL,
    case_id TEXT NOT NULL REFERENCES cases,
    kind    TEXT NOT NULL,
    made    INTEGER NOT NULL,
    seen    INTEGER,
    mailed  INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX case_notices_account ON case_notices (account, made);
CREATE INDEX case_notices_unmailed ON case_notices (made) WHERE mailed IS NULL;

-- Two persons who are one human, as somebody found out: the smaller number first.
-- What each did stays theirs, so that it can be undone.
CREATE TABLE merges (
    person  INTEGER NOT NULL,
    same_as INTEGER NOT NULL,
    made_by TEXT NOT NULL,
    made    INTEGER NOT NULL,
    PRIMARY KEY (person, same_as)
) STRICT;

-- +goose Down
DROP TABLE merges;
DROP TABLE case_notices;
DROP TABLE case_calls;
DROP TABLE case_runs;
DROP TABLE case_glasses;
DROP TABLE cases;
