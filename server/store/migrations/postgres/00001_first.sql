-- +goose Up

CREATE TABLE meta (
    id         BIGINT PRIMARY KEY CHECK (id = 1),
    generation BIGINT NOT NULL
);

CREATE TABLE kiosks (
    no      BIGINT PRIMARY KEY,
    id      TEXT NOT NULL UNIQUE,
    place   TEXT NOT NULL,
    public  BYTEA NOT NULL,
    state   BIGINT NOT NULL,
    added   BIGINT NOT NULL,
    version BIGINT NOT NULL DEFAULT 0
) WITH (fillfactor = 50); -- room to write a row anew on its page

-- Apart from kiosks, so that a beat never waits for an intake.
CREATE TABLE presences (
    kiosk_no BIGINT PRIMARY KEY REFERENCES kiosks,
    up       BIGINT NOT NULL,
    session  BIGINT NOT NULL,
    since    BIGINT NOT NULL,
    contact  BIGINT NOT NULL,
    beat     BYTEA
);

-- An epoch's number is its kiosk's number times 65536 plus its own ordinal.
-- boot_no is the boot that goes on, and what follows it says what came of that
-- boot since its own row was written: so an intake writes one row a kiosk. There
-- is no index by received, because each intake would have to write that too.
CREATE TABLE epochs (
    no                 BIGINT PRIMARY KEY,
    kiosk_no           BIGINT NOT NULL REFERENCES kiosks,
    epoch              BYTEA NOT NULL,
    ledger             BYTEA NOT NULL,
    safe               BIGINT NOT NULL,
    opened_by          BIGINT NOT NULL,
    previous           BYTEA,
    carried            BIGINT NOT NULL,
    lost               BIGINT NOT NULL,
    last               BIGINT NOT NULL,
    ended              BIGINT,
    checkins           BIGINT NOT NULL,
    late               BIGINT NOT NULL,
    received           BIGINT NOT NULL,
    boot_no            BIGINT NOT NULL,
    boot_last          BIGINT NOT NULL,
    boot_ended         BIGINT NOT NULL,
    boot_arrived       BIGINT NOT NULL,
    boot_arrived_since BIGINT NOT NULL,
    UNIQUE (kiosk_no, epoch)
) WITH (fillfactor = 50);

-- carried is 1 of a boot that is known by carried records alone.
CREATE TABLE boots (
    epoch_no      BIGINT NOT NULL REFERENCES epochs,
    no            BIGINT NOT NULL,
    boot          BYTEA NOT NULL,
    first         BIGINT NOT NULL,
    last          BIGINT NOT NULL,
    started       BIGINT NOT NULL,
    ended         BIGINT NOT NULL,
    arrived       BIGINT NOT NULL,
    arrived_since BIGINT NOT NULL,
    carried       BIGINT NOT NULL,
    PRIMARY KEY (epoch_no, no)
);

CREATE TABLE anchors (
    kiosk_no BIGINT NOT NULL REFERENCES kiosks,
    boot     BYTEA NOT NULL,
    since    BIGINT NOT NULL,
    server   BIGINT NOT NULL,
    error    BIGINT NOT NULL,
    PRIMARY KEY (kiosk_no, boot, since, server, error)
);

-- Check-ins to be dated again: of a boot those after (seq, digest) up to last,
-- once what had arrived then is filed.
CREATE TABLE redates (
    epoch_no BIGINT NOT NULL REFERENCES epochs,
    boot_no  BIGINT NOT NULL,
    seq      BIGINT NOT NULL,
    digest   BIGINT NOT NULL,
    last     BIGINT NOT NULL,
    arrived  BIGINT NOT NULL,
    PRIMARY KEY (epoch_no, boot_no)
);

CREATE TABLE gates (
    kiosk_no BIGINT NOT NULL REFERENCES kiosks,
    no       BIGINT NOT NULL,
    place    TEXT NOT NULL,
    gate     TEXT NOT NULL,
    PRIMARY KEY (kiosk_no, no)
);

-- epoch_no and seq are those under which a record was first written, under_no is
-- the epoch under which it arrived. Two histories of a forked epoch differ in
-- the digest.
CREATE TABLE checkins (
    epoch_no  BIGINT NOT NULL,
    seq       BIGINT NOT NULL,
    digest    BIGINT NOT NULL,
    under_no  BIGINT NOT NULL,
    day       INTEGER NOT NULL,
    subject   BYTEA,
    pass      SMALLINT NOT NULL,
    verdict   SMALLINT NOT NULL,
    reason    SMALLINT NOT NULL,
    presence  SMALLINT NOT NULL,
    direction SMALLINT NOT NULL,
    gate_no   INTEGER NOT NULL,
    lane      SMALLINT NOT NULL,
    said      BIGINT NOT NULL,
    clock     SMALLINT NOT NULL,
    error     BIGINT NOT NULL,
    boot_no   INTEGER NOT NULL,
    since     BIGINT NOT NULL,
    earliest  BIGINT NOT NULL,
    latest    BIGINT NOT NULL,
    received  BIGINT NOT NULL,
    PRIMARY KEY (epoch_no, seq, digest)
);
CREATE INDEX checkins_subject ON checkins (day, subject) WHERE subject IS NOT NULL;
-- A table of its own where rows have no place of their own, on SQLite.
CREATE VIEW subjects AS SELECT day, subject, epoch_no, seq, digest FROM checkins WHERE subject IS NOT NULL;
CREATE INDEX checkins_time ON checkins (day, epoch_no, latest);

-- record may be cut short, digest is of all of it.
CREATE TABLE dead_letters (
    epoch_no BIGINT NOT NULL REFERENCES epochs,
    seq      BIGINT NOT NULL,
    digest   BIGINT NOT NULL,
    reason   BIGINT NOT NULL,
    record   BYTEA NOT NULL,
    received BIGINT NOT NULL,
    PRIMARY KEY (epoch_no, seq)
);

CREATE TABLE identities (
    identity BYTEA PRIMARY KEY,
    person   BIGINT NOT NULL
);

CREATE TABLE people (
    person  BIGINT PRIMARY KEY,
    wrapped BYTEA NOT NULL
);

CREATE TABLE details (
    person BIGINT PRIMARY KEY REFERENCES people,
    sealed BYTEA NOT NULL
);

-- Backups that were verified.
CREATE TABLE backups (
    id         TEXT PRIMARY KEY,
    generation BIGINT NOT NULL,
    made       BIGINT NOT NULL,
    verified   BIGINT NOT NULL,
    rows       BIGINT NOT NULL,
    digest     BYTEA NOT NULL
);

CREATE TABLE audit (
    id     BYTEA PRIMARY KEY,
    at     BIGINT NOT NULL,
    action TEXT NOT NULL,
    object TEXT NOT NULL
);

-- +goose Down
DROP TABLE audit;
DROP TABLE backups;
DROP TABLE details;
DROP TABLE people;
DROP TABLE identities;
DROP TABLE dead_letters;
DROP VIEW subjects;
DROP TABLE checkins;
DROP TABLE gates;
DROP TABLE redates;
DROP TABLE anchors;
DROP TABLE boots;
DROP TABLE epochs;
DROP TABLE presences;
DROP TABLE kiosks;
DROP TABLE meta;
