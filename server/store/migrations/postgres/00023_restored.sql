-- +goose Up

-- When the database was restored, while nobody has said since that new kiosks may come;
-- 0 otherwise.
ALTER TABLE meta ADD COLUMN restored BIGINT NOT NULL DEFAULT 0;

-- When a group was removed; 0 is one that is there. Its layers stay as its history, so
-- its number is never given again.
ALTER TABLE config_groups ADD COLUMN removed BIGINT NOT NULL DEFAULT 0;

-- +goose Down
ALTER TABLE config_groups DROP COLUMN removed;
ALTER TABLE meta DROP COLUMN restored;
