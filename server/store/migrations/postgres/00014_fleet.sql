-- +goose Up

-- How a kiosk was, as its beats said, in slots of five minutes (grain 0) and of an
-- hour (grain 1) that begin at a time. NULL is what no beat of the slot said. The
-- shares are of a thousand.
CREATE TABLE fleet_samples (
    kiosk_no    BIGINT NOT NULL,
    grain       BIGINT NOT NULL,
    at          BIGINT NOT NULL,
    beats       BIGINT NOT NULL,
    queued      BIGINT,
    oldest      BIGINT,
    outbox      BIGINT,
    disk        BIGINT,
    memory      BIGINT,
    temperature BIGINT,
    round_trip  BIGINT,
    unreadable  BIGINT,
    scans       BIGINT,
    power       BIGINT,
    PRIMARY KEY (kiosk_no, grain, at)
);

-- When a kiosk came and went.
CREATE TABLE fleet_presences (
    kiosk_no BIGINT NOT NULL,
    at       BIGINT NOT NULL,
    up       BIGINT NOT NULL,
    session  BIGINT NOT NULL,
    PRIMARY KEY (kiosk_no, at)
);

-- What is wrong with a kiosk, from since until ended (0: it still is). Kiosk 0 is the
-- network as a whole. together says that it is part of an outage, of which people are
-- told once. told and told_end are when people were told of it and of its end.
CREATE TABLE fleet_alarms (
    kiosk_no BIGINT NOT NULL,
    kind     TEXT NOT NULL,
    since    BIGINT NOT NULL,
    grave    BIGINT NOT NULL,
    value    BIGINT NOT NULL,
    about    TEXT NOT NULL,
    seen     BIGINT NOT NULL,
    ended    BIGINT NOT NULL,
    acked_by TEXT NOT NULL,
    acked    BIGINT NOT NULL,
    together BIGINT NOT NULL,
    told     BIGINT NOT NULL,
    told_end BIGINT NOT NULL,
    PRIMARY KEY (kiosk_no, kind, since)
);
CREATE UNIQUE INDEX fleet_alarms_open ON fleet_alarms (kiosk_no, kind) WHERE ended = 0;
CREATE INDEX fleet_alarms_ended ON fleet_alarms (ended) WHERE ended > 0;

-- Of what nobody is to be told until a time: of a kind, or of all ('').
CREATE TABLE fleet_mutes (
    kiosk_no BIGINT NOT NULL,
    kind     TEXT NOT NULL,
    until    BIGINT NOT NULL,
    made_by  TEXT NOT NULL,
    made     BIGINT NOT NULL,
    PRIMARY KEY (kiosk_no, kind)
);

-- Who is told of alarms within one of their scopes: by a letter to the account's
-- address (address is empty), or by a message to an address of the web.
CREATE TABLE fleet_subscriptions (
    id      TEXT PRIMARY KEY,
    account TEXT NOT NULL,
    scope   TEXT NOT NULL,
    address TEXT NOT NULL,
    grave   BIGINT NOT NULL,
    made    BIGINT NOT NULL
);

-- Messages that wait for an address of the web to take them.
CREATE TABLE fleet_posts (
    id           TEXT PRIMARY KEY,
    subscription TEXT NOT NULL,
    body         BYTEA NOT NULL,
    made         BIGINT NOT NULL,
    due          BIGINT NOT NULL,
    tries        BIGINT NOT NULL
);
CREATE INDEX fleet_posts_due ON fleet_posts (due);

-- +goose Down

DROP TABLE fleet_posts;
DROP TABLE fleet_subscriptions;
DROP TABLE fleet_mutes;
DROP TABLE fleet_alarms;
DROP TABLE fleet_presences;
DROP TABLE fleet_samples;
