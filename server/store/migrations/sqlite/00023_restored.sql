-- +goose Up

-- When the database was restored, while nobody has said since that new kiosks may come;
-- 0 otherwise.
ALTER TABLE meta ADD COLUMN restored INTEGER NOT NULL DEFAULT 0;

-- +goose Down
ALTER TABLE meta DROP COLUMN restored;
