-- +goose Up

-- name is folded; display is as it was typed. password is a PHC string, NULL for
-- who signs in elsewhere. totp is sealed.
CREATE TABLE accounts (
    id        TEXT PRIMARY KEY,
    name      TEXT NOT NULL UNIQUE,
    display   TEXT NOT NULL,
    password  TEXT,
    email     TEXT NOT NULL,
    confirmed INTEGER NOT NULL,
    phone     TEXT NOT NULL,
    state     INTEGER NOT NULL,
    totp      BLOB,
    totp_step INTEGER NOT NULL,
    created   INTEGER NOT NULL
) STRICT;
CREATE INDEX accounts_email ON accounts (email);

-- Accounts of other systems.
CREATE TABLE links (
    issuer  TEXT NOT NULL,
    subject TEXT NOT NULL,
    account TEXT NOT NULL REFERENCES accounts,
    linked  INTEGER NOT NULL,
    PRIMARY KEY (issuer, subject)
) STRICT, WITHOUT ROWID;
CREATE INDEX links_account ON links (account);

-- Somebody signed in on some browser. second is 1 after a second factor.
CREATE TABLE signins (
    id       TEXT PRIMARY KEY,
    account  TEXT NOT NULL REFERENCES accounts,
    made     INTEGER NOT NULL,
    seen     INTEGER NOT NULL,
    until    INTEGER NOT NULL,
    second   INTEGER NOT NULL,
    agent    TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX signins_account ON signins (account);

-- What browsers' cookies stand for.
CREATE TABLE sessions (
    token BLOB PRIMARY KEY,
    data  BLOB NOT NULL,
    until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX sessions_until ON sessions (until);

-- Links and codes that work once: kind says for what.
CREATE TABLE secrets (
    hash    BLOB PRIMARY KEY,
    account TEXT NOT NULL REFERENCES accounts,
    kind    TEXT NOT NULL,
    arg     TEXT NOT NULL,
    made    INTEGER NOT NULL,
    until   INTEGER NOT NULL,
    tries   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX secrets_account ON secrets (account, kind);

CREATE TABLE organisations (
    id      TEXT PRIMARY KEY,
    name    TEXT NOT NULL,
    folded  TEXT NOT NULL,
    sector  TEXT NOT NULL,
    phone   TEXT NOT NULL,
    email   TEXT NOT NULL,
    created INTEGER NOT NULL,
    deleted INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE grants (
    account  TEXT NOT NULL REFERENCES accounts,
    role     TEXT NOT NULL,
    scope    TEXT NOT NULL,
    given_by TEXT NOT NULL,
    given    INTEGER NOT NULL,
    PRIMARY KEY (account, role, scope)
) STRICT, WITHOUT ROWID;
CREATE INDEX grants_scope ON grants (scope, role);

CREATE TABLE invitations (
    hash         BLOB PRIMARY KEY,
    organisation TEXT NOT NULL REFERENCES organisations,
    role         TEXT NOT NULL,
    note         TEXT NOT NULL,
    made_by      TEXT NOT NULL,
    made         INTEGER NOT NULL,
    until        INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX invitations_organisation ON invitations (organisation);

-- area is the commune as it was chosen, area_now the one it is in today.
-- phones and hours are JSON. Degrees are times 10^6.
CREATE TABLE places (
    no           INTEGER PRIMARY KEY,
    organisation TEXT NOT NULL REFERENCES organisations,
    name         TEXT NOT NULL,
    folded       TEXT NOT NULL,
    sector       TEXT NOT NULL,
    kind         TEXT NOT NULL,
    area         TEXT NOT NULL,
    area_now     TEXT NOT NULL,
    street       TEXT NOT NULL,
    lat          INTEGER,
    lon          INTEGER,
    person       TEXT NOT NULL,
    phones       TEXT NOT NULL,
    email        TEXT NOT NULL,
    capacity     INTEGER NOT NULL,
    hours        TEXT NOT NULL,
    doors        INTEGER NOT NULL,
    version      INTEGER NOT NULL,
    poster       INTEGER NOT NULL,
    created      INTEGER NOT NULL,
    changed      INTEGER NOT NULL,
    deleted      INTEGER
) STRICT;
CREATE INDEX places_organisation ON places (organisation, no);
CREATE INDEX places_sector ON places (sector, no);
CREATE INDEX places_area ON places (area_now, no);
CREATE INDEX places_name ON places (folded, no);

-- body is JSON.
CREATE TABLE introductions (
    place   INTEGER PRIMARY KEY REFERENCES places,
    body    TEXT NOT NULL,
    version INTEGER NOT NULL,
    shown   INTEGER NOT NULL,
    changed INTEGER NOT NULL
) STRICT;

CREATE TABLE pictures (
    id    TEXT PRIMARY KEY,
    place INTEGER NOT NULL REFERENCES places,
    no    INTEGER NOT NULL,
    title TEXT NOT NULL,
    width INTEGER NOT NULL,
    height INTEGER NOT NULL,
    jpeg  BLOB NOT NULL,
    added INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX pictures_place ON pictures (place, no);

-- The steering committee's template. must is 1 if every poster of an older one
-- is to be printed again.
CREATE TABLE templates (
    version INTEGER PRIMARY KEY,
    body    TEXT NOT NULL,
    emblem  BLOB,
    must    INTEGER NOT NULL,
    note    TEXT NOT NULL,
    made_by TEXT NOT NULL,
    made    INTEGER NOT NULL
) STRICT;

-- name and address are what the poster says: the place may have others by now.
CREATE TABLE posters (
    place    INTEGER NOT NULL REFERENCES places,
    version  INTEGER NOT NULL,
    template INTEGER NOT NULL,
    name     TEXT NOT NULL,
    address  TEXT NOT NULL,
    made_by  TEXT NOT NULL,
    made     INTEGER NOT NULL,
    printed  INTEGER,
    formats  TEXT NOT NULL,
    PRIMARY KEY (place, version)
) STRICT, WITHOUT ROWID;

CREATE TABLE difficulties (
    id       TEXT PRIMARY KEY,
    at       INTEGER NOT NULL,
    account  TEXT NOT NULL,
    page     TEXT NOT NULL,
    category TEXT NOT NULL,
    place    INTEGER,
    sector   TEXT NOT NULL,
    area     TEXT NOT NULL,
    text     TEXT NOT NULL,
    contact  TEXT NOT NULL,
    state    TEXT NOT NULL,
    answer   TEXT NOT NULL,
    answered_by TEXT NOT NULL,
    answered INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX difficulties_at ON difficulties (at);
CREATE INDEX difficulties_account ON difficulties (account);

-- Other systems' access to the API. scopes are separated by spaces.
CREATE TABLE tokens (
    id      TEXT PRIMARY KEY,
    hash    BLOB NOT NULL UNIQUE,
    name    TEXT NOT NULL,
    scopes  TEXT NOT NULL,
    made_by TEXT NOT NULL,
    made    INTEGER NOT NULL,
    until   INTEGER NOT NULL,
    used    INTEGER,
    revoked INTEGER
) STRICT, WITHOUT ROWID;

-- Files that somebody looks at before they are taken in.
CREATE TABLE uploads (
    id      TEXT PRIMARY KEY,
    account TEXT NOT NULL REFERENCES accounts,
    name    TEXT NOT NULL,
    body    BLOB NOT NULL,
    made    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

ALTER TABLE audit ADD COLUMN actor TEXT NOT NULL DEFAULT '';
ALTER TABLE audit ADD COLUMN note TEXT NOT NULL DEFAULT '';
CREATE INDEX audit_at ON audit (at);
CREATE INDEX audit_actor ON audit (actor, at);
CREATE INDEX audit_object ON audit (object, at);

-- +goose Down
DROP INDEX audit_object;
DROP INDEX audit_actor;
DROP INDEX audit_at;
ALTER TABLE audit DROP COLUMN note;
ALTER TABLE audit DROP COLUMN actor;
DROP TABLE uploads;
DROP TABLE tokens;
DROP TABLE difficulties;
DROP TABLE posters;
DROP TABLE templates;
DROP TABLE pictures;
DROP TABLE introductions;
DROP TABLE places;
DROP TABLE invitations;
DROP TABLE grants;
DROP TABLE organisations;
DROP TABLE secrets;
DROP TABLE sessions;
DROP TABLE signins;
DROP TABLE links;
DROP TABLE accounts;
