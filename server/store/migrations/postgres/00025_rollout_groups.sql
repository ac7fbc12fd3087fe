-- +goose Up

-- The group of kiosks that a roll-out is for, 0 for all. Its stages are here then, and
-- the others are '0', so that a server of the version before tells nobody of it.
ALTER TABLE rollouts ADD COLUMN group_no BIGINT NOT NULL DEFAULT 0;
ALTER TABLE rollouts ADD COLUMN group_stages TEXT NOT NULL DEFAULT '';

-- +goose Down
ALTER TABLE rollouts DROP COLUMN group_stages;
ALTER TABLE rollouts DROP COLUMN group_no;
