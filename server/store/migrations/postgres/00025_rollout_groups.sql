-- +goose Up

-- The group of kiosks that a roll-out is for, 0 for all. Its stages and how long each
-- lasts are here then. The others are '0' and a hundred years, so that a server of the
-- version before tells nobody of it but the pilots and does not end it.
ALTER TABLE rollouts ADD COLUMN group_no BIGINT NOT NULL DEFAULT 0;
ALTER TABLE rollouts ADD COLUMN group_stages TEXT NOT NULL DEFAULT '';
ALTER TABLE rollouts ADD COLUMN group_hold BIGINT NOT NULL DEFAULT 0;

-- Kiosks are found by it whose check-ins are brought by hand.
CREATE INDEX audit_carried ON audit (object, at) WHERE action = 'carry';

-- +goose Down
DROP INDEX audit_carried;
ALTER TABLE rollouts DROP COLUMN group_hold;
ALTER TABLE rollouts DROP COLUMN group_stages;
ALTER TABLE rollouts DROP COLUMN group_no;
