-- +goose Up

-- The check-ins of a place, with all that a trace asks of them, so that it reads
-- no row of the table: to find one costs more than to read it here.
DROP INDEX checkins_place;
CREATE INDEX checkins_place ON checkins (day, epoch_no, gate_no, earliest, latest,
    subject, pass, verdict, reason, presence, direction, lane, boot_no, since, received, level, came_with);

-- +goose Down
DROP INDEX checkins_place;
CREATE INDEX checkins_place ON checkins (day, epoch_no, gate_no, earliest, latest);
