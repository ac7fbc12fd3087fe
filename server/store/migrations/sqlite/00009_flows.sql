-- +goose Up

-- What was counted of a day's movement, as package movement writes it: figures of
-- ten and more alone, of no person. A day is counted again when enough came late;
-- run 2 holds only what run 1 did not know. upto is when the server had received
-- what was counted (Unix milliseconds), and seen how many check-ins the day had
-- by its tallies. Retention does not drop these rows.
CREATE TABLE movements (
    day  INTEGER NOT NULL,
    run  INTEGER NOT NULL,
    upto INTEGER NOT NULL,
    seen INTEGER NOT NULL,
    made INTEGER NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (day, run)
) STRICT, WITHOUT ROWID;

-- How full a registered place was through a day, by quarters of an hour. peak is
-- its greatest figure.
CREATE TABLE crowds (
    day      INTEGER NOT NULL,
    place_no INTEGER NOT NULL,
    peak     INTEGER NOT NULL,
    body     BLOB NOT NULL,
    PRIMARY KEY (day, place_no)
) STRICT, WITHOUT ROWID;
CREATE INDEX crowds_place ON crowds (place_no, day);

-- Which server counts, until when: one at a time.
CREATE TABLE movement_turns (
    no     INTEGER PRIMARY KEY CHECK (no = 1),
    holder TEXT NOT NULL,
    until  INTEGER NOT NULL
) STRICT;
INSERT INTO movement_turns (no, holder, until) VALUES (1, '', 0);

-- To find the days of which something came.
CREATE INDEX tallies_day ON tallies (day);

-- +goose Down

DROP INDEX tallies_day;
DROP TABLE movement_turns;
DROP TABLE crowds;
DROP TABLE movements;
