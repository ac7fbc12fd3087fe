-- +goose Up

-- Gatherings at places. bundle rises with whatever the kiosks of the place need to
-- know of an event, version with whatever somebody edits of it. last_pass is the
-- highest number that one of its guests ever had.
CREATE TABLE events (
    no           BIGINT PRIMARY KEY,
    organisation TEXT NOT NULL REFERENCES organisations,
    place        BIGINT NOT NULL REFERENCES places,
    name         TEXT NOT NULL,
    about        TEXT NOT NULL,
    starts       BIGINT NOT NULL,
    ends         BIGINT NOT NULL,
    early        BIGINT NOT NULL,
    capacity     BIGINT NOT NULL,
    open         BIGINT NOT NULL,
    reentry      BIGINT NOT NULL,
    version      BIGINT NOT NULL,
    bundle       BIGINT NOT NULL,
    last_pass    BIGINT NOT NULL,
    made_by      TEXT NOT NULL,
    made         BIGINT NOT NULL,
    changed      BIGINT NOT NULL,
    cancelled    BIGINT
);
CREATE INDEX events_place ON events (place, ends);
CREATE INDEX events_ends ON events (ends);

-- gates are names of gates, as JSON; none are all.
CREATE TABLE event_categories (
    event BIGINT NOT NULL REFERENCES events,
    no    BIGINT NOT NULL,
    kind  TEXT NOT NULL,
    name  TEXT NOT NULL,
    gates TEXT NOT NULL,
    quota BIGINT NOT NULL,
    PRIMARY KEY (event, no)
);

-- Who is invited. number stands on their pass and never means another guest. sealed
-- is what is known of them, under the person's own key.
CREATE TABLE guests (
    number    BIGINT PRIMARY KEY,
    event     BIGINT NOT NULL REFERENCES events,
    category  BIGINT NOT NULL,
    issue     BIGINT NOT NULL,
    person    BIGINT NOT NULL UNIQUE REFERENCES people,
    sealed    BYTEA NOT NULL,
    made      BIGINT NOT NULL,
    sent      BIGINT,
    cancelled BIGINT
);
CREATE INDEX guests_event ON guests (event, number);

-- +goose Down
DROP TABLE guests;
DROP TABLE event_categories;
DROP TABLE events;
