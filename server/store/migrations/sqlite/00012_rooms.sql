-- +goose Up

-- What each kiosk of a place has counted, as it last told: of the place (event 0), of
-- an event, of one of its categories.
CREATE TABLE room_counts (
    place    INTEGER NOT NULL,
    event    INTEGER NOT NULL,
    category INTEGER NOT NULL,
    kiosk_no INTEGER NOT NULL REFERENCES kiosks,
    period   INTEGER NOT NULL,
    granted  INTEGER NOT NULL,
    returned INTEGER NOT NULL,
    ins      INTEGER NOT NULL,
    outs     INTEGER NOT NULL,
    told     INTEGER NOT NULL,
    PRIMARY KEY (place, event, category, kiosk_no)
) STRICT, WITHOUT ROWID;

-- +goose Down
DROP TABLE room_counts;
