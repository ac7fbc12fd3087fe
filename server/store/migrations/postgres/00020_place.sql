-- +goose Up

-- Rows have their place where they arrived, and are read from there.
SELECT 1;

-- +goose Down
SELECT 1;
