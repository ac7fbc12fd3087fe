-- +goose Up

-- kind is 0 of a kiosk, and 1 of what stands for all phones that check in
-- through one server: it has no key and can never connect.
ALTER TABLE kiosks ADD COLUMN kind INTEGER NOT NULL DEFAULT 0;

-- The number of a registered place, or 0. It names no row: a place's check-ins
-- outlive it.
ALTER TABLE kiosks ADD COLUMN place_no INTEGER NOT NULL DEFAULT 0;
ALTER TABLE gates ADD COLUMN place_no INTEGER NOT NULL DEFAULT 0;
CREATE INDEX gates_place ON gates (place_no) WHERE place_no > 0;

-- How sure it is who somebody is; 0 where the kind of pass says it.
ALTER TABLE checkins ADD COLUMN level INTEGER NOT NULL DEFAULT 0;

-- Check-ins by phone that were answered, so that one that comes again gets the
-- same answer. key is a digest of what the phone made up, and body one of what was
-- sent, keyed by it, or empty: they stand for nobody.
CREATE TABLE visits (
    key       BLOB PRIMARY KEY,
    place_no  INTEGER NOT NULL,
    direction INTEGER NOT NULL,
    people    INTEGER NOT NULL,
    happened  INTEGER NOT NULL,
    earliest  INTEGER NOT NULL,
    latest    INTEGER NOT NULL,
    received  INTEGER NOT NULL,
    body      BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX visits_received ON visits (received);

-- What was admitted at each registered place on each day, counted in the
-- transaction that stores it, so that a page counts no check-ins. A row for each
-- kiosk, so that no two servers wait for each other.
CREATE TABLE tallies (
    place_no INTEGER NOT NULL,
    day      INTEGER NOT NULL,
    kiosk_no INTEGER NOT NULL REFERENCES kiosks,
    ins      INTEGER NOT NULL,
    outs     INTEGER NOT NULL,
    first    INTEGER NOT NULL,
    last     INTEGER NOT NULL,
    PRIMARY KEY (place_no, day, kiosk_no)
) STRICT, WITHOUT ROWID;

-- +goose Down
DROP TABLE tallies;
DROP TABLE visits;
ALTER TABLE checkins DROP COLUMN level;
DROP INDEX gates_place;
ALTER TABLE gates DROP COLUMN place_no;
ALTER TABLE kiosks DROP COLUMN place_no;
ALTER TABLE kiosks DROP COLUMN kind;
