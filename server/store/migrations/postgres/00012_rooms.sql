-- +goose Up

-- What each kiosk of a place has counted, as it last told: of the place (event 0), of
-- an event, of one of its categories.
CREATE TABLE room_counts (
    place    BIGINT NOT NULL,
    event    BIGINT NOT NULL,
    category BIGINT NOT NULL,
    kiosk_no BIGINT NOT NULL REFERENCES kiosks,
    period   BIGINT NOT NULL,
    granted  BIGINT NOT NULL,
    returned BIGINT NOT NULL,
    ins      BIGINT NOT NULL,
    outs     BIGINT NOT NULL,
    told     BIGINT NOT NULL,
    PRIMARY KEY (place, event, category, kiosk_no)
);

-- +goose Down
DROP TABLE room_counts;
