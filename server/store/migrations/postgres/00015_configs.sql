-- +goose Up

-- What is said of kiosks: of all of them, of a group, of a place, of one. body is
-- JSON, a value for each setting that the layer says. A version never changes; the
-- highest one counts.
CREATE TABLE config_layers (
    layer   TEXT   NOT NULL,
    version BIGINT NOT NULL,
    body    TEXT   NOT NULL,
    why     TEXT   NOT NULL,
    made_by TEXT   NOT NULL,
    made    BIGINT NOT NULL,
    PRIMARY KEY (layer, version)
);

CREATE TABLE config_groups (
    id   BIGINT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
);

-- A kiosk is in one group or in none.
CREATE TABLE config_members (
    kiosk_no BIGINT PRIMARY KEY REFERENCES kiosks,
    group_id BIGINT NOT NULL REFERENCES config_groups
);

-- What each kiosk was to run with: the body of a wire.ConfigDoc without its stamp.
CREATE TABLE config_documents (
    kiosk_no BIGINT NOT NULL REFERENCES kiosks,
    version  BIGINT NOT NULL,
    body     BYTEA NOT NULL,
    made     BIGINT NOT NULL,
    PRIMARY KEY (kiosk_no, version)
);

-- revision rises with each change of the tables before.
CREATE TABLE config_state (
    id       BIGINT PRIMARY KEY CHECK (id = 1),
    revision BIGINT NOT NULL
);

-- +goose Down
DROP TABLE config_state;
DROP TABLE config_documents;
DROP TABLE config_members;
DROP TABLE config_groups;
DROP TABLE config_layers;
