-- +goose Up

-- Gatherings at places. bundle rises with whatever the kiosks of the place need to
-- know of an event, version with whatever somebody edits of it. last_pass is the
-- highest number that one of its guests ever had.
CREATE TABLE events (
    no           INTEGER PRIMARY KEY,
    organisation TEXT NOT NULL REFERENCES organisations,
    place        INTEGER NOT NULL REFERENCES places,
    name         TEXT NOT NULL,
    about        TEXT NOT NULL,
    starts       INTEGER NOT NULL,
    ends         INTEGER NOT NULL,
    early        INTEGER NOT NULL,
    capacity     INTEGER NOT NULL,
    open         INTEGER NOT NULL,
    reentry      INTEGER NOT NULL,
    version      INTEGER NOT NULL,
    bundle       INTEGER NOT NULL,
    last_pass    INTEGER NOT NULL,
    made_by      TEXT NOT NULL,
    made         INTEGER NOT NULL,
    changed      INTEGER NOT NULL,
    cancelled    INTEGER
) STRICT;
CREATE INDEX events_place ON events (place, ends);
CREATE INDEX events_ends ON events (ends);

-- gates are names of gates, as JSON; none are all.
CREATE TABLE event_categories (
    event INTEGER NOT NULL REFERENCES events,
    no    INTEGER NOT NULL,
    kind  TEXT NOT NULL,
    name  TEXT NOT NULL,
    gates TEXT NOT NULL,
    quota INTEGER NOT NULL,
    PRIMARY KEY (event, no)
) STRICT, WITHOUT ROWID;

-- Who is invited. number stands on their pass and never means another guest. sealed
-- is what is known of them, under the person's own key.
CREATE TABLE guests (
    number    INTEGER PRIMARY KEY,
    event     INTEGER NOT NULL REFERENCES events,
    category  INTEGER NOT NULL,
    issue     INTEGER NOT NULL,
    person    INTEGER NOT NULL UNIQUE REFERENCES people,
    sealed    BLOB NOT NULL,
    made      INTEGER NOT NULL,
    sent      INTEGER,
    cancelled INTEGER
) STRICT;
CREATE INDEX guests_event ON guests (event, number);

-- +goose Down
DROP TABLE guests;
DROP TABLE event_categories;
DROP TABLE events;
