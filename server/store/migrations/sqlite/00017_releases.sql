-- +goose Up

-- Releases of the kiosks' program that were published, and whether a newer list of
-- releases has withdrawn them.
CREATE TABLE releases (
    version   TEXT NOT NULL PRIMARY KEY,
    arches    TEXT NOT NULL, -- with spaces between
    note      TEXT NOT NULL,
    published INTEGER NOT NULL,
    withdrawn INTEGER NOT NULL -- 0 is not
) STRICT;

-- One release on its way to the kiosks, in stages.
CREATE TABLE rollouts (
    no          INTEGER NOT NULL PRIMARY KEY,
    version     TEXT NOT NULL REFERENCES releases,
    state       TEXT NOT NULL, -- running, paused, stopped, done
    reason      TEXT NOT NULL, -- of stopped: errors, person
    stages      TEXT NOT NULL, -- shares of the kiosks in per cent, with spaces between
    stage       INTEGER NOT NULL, -- index into them
    hold        INTEGER NOT NULL, -- minutes that a stage lasts at least
    error_share INTEGER NOT NULL, -- per cent of a stage's kiosks that stop it
    at_once     INTEGER NOT NULL, -- 1: kiosks do not wait for a quiet hour
    pilots      TEXT NOT NULL, -- ids of kiosks that are in every stage, with spaces between
    made_by     TEXT NOT NULL,
    begun       INTEGER NOT NULL,
    moved       INTEGER NOT NULL, -- when the stage began
    changed     INTEGER NOT NULL,
    edition     INTEGER NOT NULL
) STRICT;

-- What each kiosk last told of its versions.
CREATE TABLE release_states (
    kiosk_no INTEGER NOT NULL PRIMARY KEY REFERENCES kiosks,
    running  TEXT NOT NULL,
    launcher TEXT NOT NULL,
    arch     TEXT NOT NULL,
    stage    INTEGER NOT NULL,
    version  TEXT NOT NULL, -- that the stage is about
    reason   TEXT NOT NULL,
    loaded   INTEGER NOT NULL, -- per cent
    since    INTEGER NOT NULL, -- when any of this but loaded changed
    wanted   TEXT NOT NULL, -- what it was last told to run
    asked    INTEGER NOT NULL, -- when it was first told to
    told     INTEGER NOT NULL
) STRICT;

-- +goose Down
DROP TABLE release_states;
DROP TABLE rollouts;
DROP TABLE releases;
