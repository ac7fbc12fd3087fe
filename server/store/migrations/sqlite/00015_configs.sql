-- +goose Up

-- What is said of kiosks: of all of them, of a group, of a place, of one. body is
-- JSON, a value for each setting that the layer says. A version never changes; the
-- highest one counts.
CREATE TABLE config_layers (
    layer   TEXT   NOT NULL,
    version INTEGER NOT NULL,
    body    TEXT   NOT NULL,
    why     TEXT   NOT NULL,
    made_by TEXT   NOT NULL,
    made    INTEGER NOT NULL,
    PRIMARY KEY (layer, version)
) STRICT, WITHOUT ROWID;

CREATE TABLE config_groups (
    id   INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;

-- A kiosk is in one group or in none.
CREATE TABLE config_members (
    kiosk_no INTEGER PRIMARY KEY REFERENCES kiosks,
    group_id INTEGER NOT NULL REFERENCES config_groups
) STRICT;

-- What each kiosk was to run with: the body of a wire.ConfigDoc without its stamp.
CREATE TABLE config_documents (
    kiosk_no INTEGER NOT NULL REFERENCES kiosks,
    version  INTEGER NOT NULL,
    body     BLOB NOT NULL,
    made     INTEGER NOT NULL,
    PRIMARY KEY (kiosk_no, version)
) STRICT, WITHOUT ROWID;

-- revision rises with each change of the tables before.
CREATE TABLE config_state (
    id       INTEGER PRIMARY KEY CHECK (id = 1),
    revision INTEGER NOT NULL
) STRICT;

-- +goose Down
DROP TABLE config_state;
DROP TABLE config_documents;
DROP TABLE config_members;
DROP TABLE config_groups;
DROP TABLE config_layers;
