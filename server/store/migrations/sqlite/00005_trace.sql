-- +goose Up

-- Of a companion the number of the check-in that they came with, or 0.
ALTER TABLE checkins ADD COLUMN came_with INTEGER NOT NULL DEFAULT 0;

-- The check-ins of a place. Its gates stand before the time: of the phones of a
-- server one epoch has all places. That latest is here too spares looking at
-- rows which ended before.
DROP INDEX checkins_time;
CREATE INDEX checkins_place ON checkins (day, epoch_no, gate_no, earliest, latest);
CREATE INDEX gates_named ON gates (place) WHERE place_no = 0;

-- 1 of an epoch some of whose check-ins were dated again to more than a day after
-- the day that they are kept under.
ALTER TABLE epochs ADD COLUMN strayed INTEGER NOT NULL DEFAULT 0;

-- number rises whenever people are erased: what servers remember of people is out
-- of date then.
CREATE TABLE forgotten (
    id     INTEGER PRIMARY KEY CHECK (id = 1),
    number INTEGER NOT NULL
) STRICT;
INSERT INTO forgotten (id, number) VALUES (1, 0);

CREATE INDEX identities_person ON identities (person);
CREATE INDEX dead_letters_received ON dead_letters (received);

-- +goose Down
DROP INDEX dead_letters_received;
DROP INDEX identities_person;
DROP TABLE forgotten;
ALTER TABLE epochs DROP COLUMN strayed;
DROP INDEX gates_named;
DROP INDEX checkins_place;
CREATE INDEX checkins_time ON checkins (day, epoch_no, latest);
ALTER TABLE checkins DROP COLUMN came_with;
