-- +goose Up

-- A case of a disease. scope is the area of whoever opened it. wrapped is the
-- case's own key, under which sealed and all that other tables seal of it lie; both
-- are NULL once the case's end has passed. late is set while check-ins have come
-- since its last run that the run would have read.
CREATE TABLE cases (
    id         TEXT PRIMARY KEY,
    year       BIGINT NOT NULL,
    no         BIGINT NOT NULL,
    state      TEXT NOT NULL,
    profile    TEXT NOT NULL,
    scope      TEXT NOT NULL,
    opened_by  TEXT NOT NULL,
    opened     BIGINT NOT NULL,
    changed    BIGINT NOT NULL,
    ends       BIGINT NOT NULL,
    approval   TEXT NOT NULL,
    decided_by TEXT NOT NULL,
    decided    BIGINT,
    runs       BIGINT NOT NULL,
    late       BIGINT,
    version    BIGINT NOT NULL,
    wrapped    BYTEA,
    sealed     BYTEA,
    UNIQUE (year, no)
);
CREATE INDEX cases_scope ON cases (scope, state);
CREATE INDEX cases_ends ON cases (ends) WHERE wrapped IS NOT NULL;

-- An officer looked without approval. sealed is why, and what the review says.
CREATE TABLE case_glasses (
    id          TEXT PRIMARY KEY,
    case_id     TEXT NOT NULL REFERENCES cases,
    made_by     TEXT NOT NULL,
    made        BIGINT NOT NULL,
    until       BIGINT NOT NULL,
    reviewed_by TEXT NOT NULL,
    reviewed    BIGINT,
    proper      BIGINT,
    sealed      BYTEA
);
CREATE INDEX case_glasses_case ON case_glasses (case_id, made);

-- Each tracing of a case: what was found and, of the latest of each ring, a
-- fingerprint of what was read. reference is around whom a second ring is, zero of
-- a first.
CREATE TABLE case_runs (
    case_id     TEXT NOT NULL REFERENCES cases,
    no          BIGINT NOT NULL,
    made        BIGINT NOT NULL,
    made_by     TEXT NOT NULL,
    ring        BIGINT NOT NULL,
    reference   BYTEA NOT NULL,
    began       BIGINT NOT NULL,
    sealed      BYTEA NOT NULL,
    fingerprint BYTEA,
    PRIMARY KEY (case_id, no)
);

-- Whom to call. reference stands for a person in this case alone.
CREATE TABLE case_calls (
    case_id   TEXT NOT NULL REFERENCES cases,
    reference BYTEA NOT NULL,
    status    TEXT NOT NULL,
    made_by   TEXT NOT NULL,
    made      BIGINT NOT NULL,
    version   BIGINT NOT NULL,
    sealed    BYTEA NOT NULL,
    PRIMARY KEY (case_id, reference)
);

-- What somebody is told of a case, on their page and, if it can be sent, by mail.
CREATE TABLE case_notices (
    id      TEXT PRIMARY KEY,
    account TEXT NOT NULL,
    case_id TEXT NOT NULL REFERENCES cases,
    kind    TEXT NOT NULL,
    made    BIGINT NOT NULL,
    seen    BIGINT,
    mailed  BIGINT
);
CREATE INDEX case_notices_account ON case_notices (account, made);
CREATE INDEX case_notices_unmailed ON case_notices (made) WHERE mailed IS NULL;

-- Two persons who are one human, as somebody found out: the smaller number first.
-- What each did stays theirs, so that it can be undone.
CREATE TABLE merges (
    person  BIGINT NOT NULL,
    same_as BIGINT NOT NULL,
    made_by TEXT NOT NULL,
    made    BIGINT NOT NULL,
    PRIMARY KEY (person, same_as)
);

-- +goose Down
DROP TABLE merges;
DROP TABLE case_notices;
DROP TABLE case_calls;
DROP TABLE case_runs;
DROP TABLE case_glasses;
DROP TABLE cases;
