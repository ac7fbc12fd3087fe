-- +goose Up

-- How a kiosk was, as its beats said, in slots of five minutes (grain 0) and of an
-- hour (grain 1) that begin at a time. NULL is what no beat of the slot said. The
-- shares are of a thousand.
CREATE TABLE fleet_samples (
    kiosk_no    INTEGER NOT NULL,
    grain       INTEGER NOT NULL,
    at          INTEGER NOT NULL,
    beats       INTEGER NOT NULL,
    queued      INTEGER,
    oldest      INTEGER,
    outbox      INTEGER,
    disk        INTEGER,
    memory      INTEGER,
    temperature INTEGER,
    round_trip  INTEGER,
    unreadable  INTEGER,
    scans       INTEGER,
    power       INTEGER,
    PRIMARY KEY (kiosk_no, grain, at)
) STRICT, WITHOUT ROWID;

-- When a kiosk came and went.
CREATE TABLE fleet_presences (
    kiosk_no INTEGER NOT NULL,
    at       INTEGER NOT NULL,
    up       INTEGER NOT NULL,
    session  INTEGER NOT NULL,
    PRIMARY KEY (kiosk_no, at)
) STRICT, WITHOUT ROWID;

-- What is wrong with a kiosk, from since until ended (0: it still is). Kiosk 0 is the
-- network as a whole. together says that it is part of an outage, of which people are
-- told once. told and told_end are when people were told of it and of its end.
CREATE TABLE fleet_alarms (
    kiosk_no INTEGER NOT NULL,
    kind     TEXT NOT NULL,
    since    INTEGER NOT NULL,
    grave    INTEGER NOT NULL,
    value    INTEGER NOT NULL,
    about    TEXT NOT NULL,
    seen     INTEGER NOT NULL,
    ended    INTEGER NOT NULL,
    acked_by TEXT NOT NULL,
    acked    INTEGER NOT NULL,
    together INTEGER NOT NULL,
    told     INTEGER NOT NULL,
    told_end INTEGER NOT NULL,
    PRIMARY KEY (kiosk_no, kind, since)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX fleet_alarms_open ON fleet_alarms (kiosk_no, kind) WHERE ended = 0;
CREATE INDEX fleet_alarms_ended ON fleet_alarms (ended) WHERE ended > 0;

-- Of what nobody is to be told until a time: of a kind, or of all ('').
CREATE TABLE fleet_mutes (
    kiosk_no INTEGER NOT NULL,
    kind     TEXT NOT NULL,
    until    INTEGER NOT NULL,
    made_by  TEXT NOT NULL,
    made     INTEGER NOT NULL,
    PRIMARY KEY (kiosk_no, kind)
) STRICT, WITHOUT ROWID;

-- Who is told of alarms within one of their scopes: by a letter to the account's
-- address (address is empty), or by a message to an address of the web.
CREATE TABLE fleet_subscriptions (
    id      TEXT PRIMARY KEY,
    account TEXT NOT NULL,
    scope   TEXT NOT NULL,
    address TEXT NOT NULL,
    grave   INTEGER NOT NULL,
    made    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Messages that wait for an address of the web to take them.
CREATE TABLE fleet_posts (
    id           TEXT PRIMARY KEY,
    subscription TEXT NOT NULL,
    body         BLOB NOT NULL,
    made         INTEGER NOT NULL,
    due          INTEGER NOT NULL,
    tries        INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX fleet_posts_due ON fleet_posts (due);

-- +goose Down

DROP TABLE fleet_posts;
DROP TABLE fleet_subscriptions;
DROP TABLE fleet_mutes;
DROP TABLE fleet_alarms;
DROP TABLE fleet_presences;
DROP TABLE fleet_samples;
