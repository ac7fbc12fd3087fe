-- +goose Up

CREATE TABLE meta (
    id         INTEGER PRIMARY KEY CHECK (id = 1),
    generation INTEGER NOT NULL
) STRICT;

CREATE TABLE kiosks (
    no      INTEGER PRIMARY KEY,
    id      TEXT NOT NULL UNIQUE,
    place   TEXT NOT NULL,
    public  BLOB NOT NULL,
    state   INTEGER NOT NULL,
    added   INTEGER NOT NULL,
    version INTEGER NOT NULL DEFAULT 0
) STRICT;

-- Apart from kiosks, so that a beat never waits for an intake.
CREATE TABLE presences (
    kiosk_no INTEGER PRIMARY KEY REFERENCES kiosks,
    up       INTEGER NOT NULL,
    session  INTEGER NOT NULL,
    since    INTEGER NOT NULL,
    contact  INTEGER NOT NULL,
    beat     BLOB
) STRICT;

-- An epoch's number is its kiosk's number times 65536 plus its own ordinal.
-- boot_no is the boot that goes on, and what follows it says what came of that
-- boot since its own row was written: so an intake writes one row a kiosk. There
-- is no index by received, because each intake would have to write that too.
CREATE TABLE epochs (
    no                 INTEGER PRIMARY KEY,
    kiosk_no           INTEGER NOT NULL REFERENCES kiosks,
    epoch              BLOB NOT NULL,
    ledger             BLOB NOT NULL,
    safe               INTEGER NOT NULL,
    opened_by          INTEGER NOT NULL,
    previous           BLOB,
    carried            INTEGER NOT NULL,
    lost               INTEGER NOT NULL,
    last               INTEGER NOT NULL,
    ended              INTEGER,
    checkins           INTEGER NOT NULL,
    late               INTEGER NOT NULL,
    received           INTEGER NOT NULL,
    boot_no            INTEGER NOT NULL,
    boot_last          INTEGER NOT NULL,
    boot_ended         INTEGER NOT NULL,
    boot_arrived       INTEGER NOT NULL,
    boot_arrived_since INTEGER NOT NULL,
    UNIQUE (kiosk_no, epoch)
) STRICT;

-- carried is 1 of a boot that is known by carried records alone.
CREATE TABLE boots (
    epoch_no      INTEGER NOT NULL REFERENCES epochs,
    no            INTEGER NOT NULL,
    boot          BLOB NOT NULL,
    first         INTEGER NOT NULL,
    last          INTEGER NOT NULL,
    started       INTEGER NOT NULL,
    ended         INTEGER NOT NULL,
    arrived       INTEGER NOT NULL,
    arrived_since INTEGER NOT NULL,
    carried       INTEGER NOT NULL,
    PRIMARY KEY (epoch_no, no)
) STRICT, WITHOUT ROWID;

CREATE TABLE anchors (
    kiosk_no INTEGER NOT NULL REFERENCES kiosks,
    boot     BLOB NOT NULL,
    since    INTEGER NOT NULL,
    server   INTEGER NOT NULL,
    error    INTEGER NOT NULL,
    PRIMARY KEY (kiosk_no, boot, since, server, error)
) STRICT, WITHOUT ROWID;

-- Check-ins to be dated again: of a boot those after (seq, digest) up to last,
-- once what had arrived then is filed.
CREATE TABLE redates (
    epoch_no INTEGER NOT NULL REFERENCES epochs,
    boot_no  INTEGER NOT NULL,
    seq      INTEGER NOT NULL,
    digest   INTEGER NOT NULL,
    last     INTEGER NOT NULL,
    arrived  INTEGER NOT NULL,
    PRIMARY KEY (epoch_no, boot_no)
) STRICT, WITHOUT ROWID;

CREATE TABLE gates (
    kiosk_no INTEGER NOT NULL REFERENCES kiosks,
    no       INTEGER NOT NULL,
    place    TEXT NOT NULL,
    gate     TEXT NOT NULL,
    PRIMARY KEY (kiosk_no, no)
) STRICT, WITHOUT ROWID;

-- epoch_no and seq are those under which a record was first written, under_no is
-- the epoch under which it arrived. Two histories of a forked epoch differ in
-- the digest.
CREATE TABLE checkins (
    epoch_no  INTEGER NOT NULL,
    seq       INTEGER NOT NULL,
    digest    INTEGER NOT NULL,
    under_no  INTEGER NOT NULL,
    day       INTEGER NOT NULL,
    subject   BLOB,
    pass      INTEGER NOT NULL,
    verdict   INTEGER NOT NULL,
    reason    INTEGER NOT NULL,
    presence  INTEGER NOT NULL,
    direction INTEGER NOT NULL,
    gate_no   INTEGER NOT NULL,
    lane      INTEGER NOT NULL,
    said      INTEGER NOT NULL,
    clock     INTEGER NOT NULL,
    error     INTEGER NOT NULL,
    boot_no   INTEGER NOT NULL,
    since     INTEGER NOT NULL,
    earliest  INTEGER NOT NULL,
    latest    INTEGER NOT NULL,
    received  INTEGER NOT NULL,
    PRIMARY KEY (epoch_no, seq, digest)
) STRICT, WITHOUT ROWID;
CREATE INDEX checkins_time ON checkins (day, epoch_no, latest);

-- An index that is filled in its own order.
CREATE TABLE subjects (
    day      INTEGER NOT NULL,
    subject  BLOB NOT NULL,
    epoch_no INTEGER NOT NULL,
    seq      INTEGER NOT NULL,
    digest   INTEGER NOT NULL,
    PRIMARY KEY (day, subject, epoch_no, seq, digest)
) STRICT, WITHOUT ROWID;

-- Check-ins as they arrive, those of an intake in one row, until they are filed
-- in the two tables before: inserted there at once each would write a page or
-- more of its own.
CREATE TABLE arrivals (
    no       INTEGER PRIMARY KEY AUTOINCREMENT,
    received INTEGER NOT NULL,
    checkins INTEGER NOT NULL,
    rows     BLOB NOT NULL
) STRICT;

-- record may be cut short, digest is of all of it.
CREATE TABLE dead_letters (
    epoch_no INTEGER NOT NULL REFERENCES epochs,
    seq      INTEGER NOT NULL,
    digest   INTEGER NOT NULL,
    reason   INTEGER NOT NULL,
    record   BLOB NOT NULL,
    received INTEGER NOT NULL,
    PRIMARY KEY (epoch_no, seq)
) STRICT;

CREATE TABLE identities (
    identity BLOB PRIMARY KEY,
    person   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE people (
    person  INTEGER PRIMARY KEY,
    wrapped BLOB NOT NULL
) STRICT;

CREATE TABLE details (
    person INTEGER PRIMARY KEY REFERENCES people,
    sealed BLOB NOT NULL
) STRICT;

-- Backups that were verified.
CREATE TABLE backups (
    id         TEXT PRIMARY KEY,
    generation INTEGER NOT NULL,
    made       INTEGER NOT NULL,
    verified   INTEGER NOT NULL,
    rows       INTEGER NOT NULL,
    digest     BLOB NOT NULL
) STRICT;

CREATE TABLE audit (
    id     BLOB PRIMARY KEY,
    at     INTEGER NOT NULL,
    action TEXT NOT NULL,
    object TEXT NOT NULL
) STRICT;

-- +goose Down
DROP TABLE audit;
DROP TABLE backups;
DROP TABLE details;
DROP TABLE people;
DROP TABLE identities;
DROP TABLE dead_letters;
DROP TABLE arrivals;
DROP TABLE subjects;
DROP TABLE checkins;
DROP TABLE gates;
DROP TABLE redates;
DROP TABLE anchors;
DROP TABLE boots;
DROP TABLE epochs;
DROP TABLE presences;
DROP TABLE kiosks;
DROP TABLE meta;
