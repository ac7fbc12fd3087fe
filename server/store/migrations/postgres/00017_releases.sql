-- +goose Up

-- Releases of the kiosks' program that were published, and whether a newer list of
-- releases has withdrawn them.
CREATE TABLE releases (
    version   TEXT NOT NULL PRIMARY KEY,
    arches    TEXT NOT NULL, -- with spaces between
    note      TEXT NOT NULL,
    published BIGINT NOT NULL,
    withdrawn BIGINT NOT NULL -- 0 is not
);

-- One release on its way to the kiosks, in stages.
CREATE TABLE rollouts (
    no          BIGINT NOT NULL PRIMARY KEY,
    version     TEXT NOT NULL REFERENCES releases,
    state       TEXT NOT NULL, -- running, paused, stopped, done
    reason      TEXT NOT NULL, -- of stopped: errors, person
    stages      TEXT NOT NULL, -- shares of the kiosks in per cent, with spaces between
    stage       BIGINT NOT NULL, -- index into them
    hold        BIGINT NOT NULL, -- minutes that a stage lasts at least
    error_share BIGINT NOT NULL, -- per cent of a stage's kiosks that stop it
    at_once     BIGINT NOT NULL, -- 1: kiosks do not wait for a quiet hour
    pilots      TEXT NOT NULL, -- ids of kiosks that are in every stage, with spaces between
    made_by     TEXT NOT NULL,
    begun       BIGINT NOT NULL,
    moved       BIGINT NOT NULL, -- when the stage began
    changed     BIGINT NOT NULL,
    edition     BIGINT NOT NULL
);

-- What each kiosk last told of its versions.
CREATE TABLE release_states (
    kiosk_no BIGINT NOT NULL PRIMARY KEY REFERENCES kiosks,
    running  TEXT NOT NULL,
    launcher TEXT NOT NULL,
    arch     TEXT NOT NULL,
    stage    BIGINT NOT NULL,
    version  TEXT NOT NULL, -- that the stage is about
    reason   TEXT NOT NULL,
    loaded   BIGINT NOT NULL, -- per cent
    since    BIGINT NOT NULL, -- when any of this but loaded changed
    wanted   TEXT NOT NULL, -- what it was last told to run
    asked    BIGINT NOT NULL, -- when it was first told to
    told     BIGINT NOT NULL
);

-- +goose Down
DROP TABLE release_states;
DROP TABLE rollouts;
DROP TABLE releases;
