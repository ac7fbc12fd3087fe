-- +goose Up

-- name is folded; display is as it was typed. password is a PHC string, NULL for
-- who signs in elsewhere. totp is sealed.
CREATE TABLE accounts (
    id        TEXT PRIMARY KEY,
    name      TEXT NOT NULL UNIQUE,
    display   TEXT NOT NULL,
    password  TEXT,
    email     TEXT NOT NULL,
    confirmed BIGINT NOT NULL,
    phone     TEXT NOT NULL,
    state     BIGINT NOT NULL,
    totp      BYTEA,
    totp_step BIGINT NOT NULL,
    created   BIGINT NOT NULL
);
CREATE INDEX accounts_email ON accounts (email);

-- Accounts of other systems.
CREATE TABLE links (
    issuer  TEXT NOT NULL,
    subject TEXT NOT NULL,
    account TEXT NOT NULL REFERENCES accounts,
    linked  BIGINT NOT NULL,
    PRIMARY KEY (issuer, subject)
);
CREATE INDEX links_account ON links (account);

-- Somebody signed in on some browser. second is 1 after a second factor.
CREATE TABLE signins (
    id       TEXT PRIMARY KEY,
    account  TEXT NOT NULL REFERENCES accounts,
    made     BIGINT NOT NULL,
    seen     BIGINT NOT NULL,
    until    BIGINT NOT NULL,
    second   BIGINT NOT NULL,
    agent    TEXT NOT NULL
);
CREATE INDEX signins_account ON signins (account);

-- What browsers' cookies stand for.
CREATE TABLE sessions (
    token BYTEA PRIMARY KEY,
    data  BYTEA NOT NULL,
    until BIGINT NOT NULL
);
CREATE INDEX sessions_until ON sessions (until);

-- Links and codes that work once: kind says for what.
CREATE TABLE secrets (
    hash    BYTEA PRIMARY KEY,
    account TEXT NOT NULL REFERENCES accounts,
    kind    TEXT NOT NULL,
    arg     TEXT NOT NULL,
    made    BIGINT NOT NULL,
    until   BIGINT NOT NULL,
    tries   BIGINT NOT NULL
);
CREATE INDEX secrets_account ON secrets (account, kind);

CREATE TABLE organisations (
    id      TEXT PRIMARY KEY,
    name    TEXT NOT NULL,
    folded  TEXT NOT NULL,
    sector  TEXT NOT NULL,
    phone   TEXT NOT NULL,
    email   TEXT NOT NULL,
    created BIGINT NOT NULL,
    deleted BIGINT
);

CREATE TABLE grants (
    account  TEXT NOT NULL REFERENCES accounts,
    role     TEXT NOT NULL,
    scope    TEXT NOT NULL,
    given_by TEXT NOT NULL,
    given    BIGINT NOT NULL,
    PRIMARY KEY (account, role, scope)
);
CREATE INDEX grants_scope ON grants (scope, role);

CREATE TABLE invitations (
    hash         BYTEA PRIMARY KEY,
    organisation TEXT NOT NULL REFERENCES organisations,
    role         TEXT NOT NULL,
    note         TEXT NOT NULL,
    made_by      TEXT NOT NULL,
    made         BIGINT NOT NULL,
    until        BIGINT NOT NULL
);
CREATE INDEX invitations_organisation ON invitations (organisation);

-- area is the commune as it was chosen, area_now the one it is in today.
-- phones and hours are JSON. Degrees are times 10^6.
CREATE TABLE places (
    no           BIGINT PRIMARY KEY,
    organisation TEXT NOT NULL REFERENCES organisations,
    name         TEXT NOT NULL,
    folded       TEXT NOT NULL,
    sector       TEXT NOT NULL,
    kind         TEXT NOT NULL,
    area         TEXT NOT NULL,
    area_now     TEXT NOT NULL,
    street       TEXT NOT NULL,
    lat          BIGINT,
    lon          BIGINT,
    person       TEXT NOT NULL,
    phones       TEXT NOT NULL,
    email        TEXT NOT NULL,
    capacity     BIGINT NOT NULL,
    hours        TEXT NOT NULL,
    doors        BIGINT NOT NULL,
    version      BIGINT NOT NULL,
    poster       BIGINT NOT NULL,
    created      BIGINT NOT NULL,
    changed      BIGINT NOT NULL,
    deleted      BIGINT
);
CREATE INDEX places_organisation ON places (organisation, no);
CREATE INDEX places_sector ON places (sector, no);
CREATE INDEX places_area ON places (area_now, no);
CREATE INDEX places_name ON places (folded, no);

-- body is JSON.
CREATE TABLE introductions (
    place   BIGINT PRIMARY KEY REFERENCES places,
    body    TEXT NOT NULL,
    version BIGINT NOT NULL,
    shown   BIGINT NOT NULL,
    changed BIGINT NOT NULL
);

CREATE TABLE pictures (
    id    TEXT PRIMARY KEY,
    place BIGINT NOT NULL REFERENCES places,
    no    BIGINT NOT NULL,
    title TEXT NOT NULL,
    width BIGINT NOT NULL,
    height BIGINT NOT NULL,
    jpeg  BYTEA NOT NULL,
    added BIGINT NOT NULL
);
CREATE INDEX pictures_place ON pictures (place, no);

-- The steering committee's template. must is 1 if every poster of an older one
-- is to be printed again.
CREATE TABLE templates (
    version BIGINT PRIMARY KEY,
    body    TEXT NOT NULL,
    emblem  BYTEA,
    must    BIGINT NOT NULL,
    note    TEXT NOT NULL,
    made_by TEXT NOT NULL,
    made    BIGINT NOT NULL
);

-- name and address are what the poster says: the place may have others by now.
CREATE TABLE posters (
    place    BIGINT NOT NULL REFERENCES places,
    version  BIGINT NOT NULL,
    template BIGINT NOT NULL,
    name     TEXT NOT NULL,
    address  TEXT NOT NULL,
    made_by  TEXT NOT NULL,
    made     BIGINT NOT NULL,
    printed  BIGINT,
    formats  TEXT NOT NULL,
    PRIMARY KEY (place, version)
);

CREATE TABLE difficulties (
    id       TEXT PRIMARY KEY,
    at       BIGINT NOT NULL,
    account  TEXT NOT NULL,
    page     TEXT NOT NULL,
    category TEXT NOT NULL,
    place    BIGINT,
    sector   TEXT NOT NULL,
    area     TEXT NOT NULL,
    text     TEXT NOT NULL,
    contact  TEXT NOT NULL,
    state    TEXT NOT NULL,
    answer   TEXT NOT NULL,
    answered_by TEXT NOT NULL,
    answered BIGINT
);
CREATE INDEX difficulties_at ON difficulties (at);
CREATE INDEX difficulties_account ON difficulties (account);

-- Other systems' access to the API. scopes are separated by spaces.
CREATE TABLE tokens (
    id      TEXT PRIMARY KEY,
    hash    BYTEA NOT NULL UNIQUE,
    name    TEXT NOT NULL,
    scopes  TEXT NOT NULL,
    made_by TEXT NOT NULL,
    made    BIGINT NOT NULL,
    until   BIGINT NOT NULL,
    used    BIGINT,
    revoked BIGINT
);

-- Files that somebody looks at before they are taken in.
CREATE TABLE uploads (
    id      TEXT PRIMARY KEY,
    account TEXT NOT NULL REFERENCES accounts,
    name    TEXT NOT NULL,
    body    BYTEA NOT NULL,
    made    BIGINT NOT NULL
);

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
