-- +goose Up

-- How many people passed a lane of a kiosk in a part of an hour, the lane's way and
-- against it, how many check-ins there were meanwhile, and how often the door was opened
-- for somebody who did not go through, as its ledger says. It ended between earliest and
-- latest. place_no is where the kiosk stood when that came.
CREATE TABLE passages (
    epoch_no  BIGINT NOT NULL,
    seq       BIGINT NOT NULL,
    digest    BIGINT NOT NULL,
    kiosk_no  BIGINT NOT NULL,
    place_no  BIGINT NOT NULL,
    gate      TEXT NOT NULL,
    lane      BIGINT NOT NULL,
    direction BIGINT NOT NULL,
    hour      BIGINT NOT NULL,
    took      BIGINT NOT NULL,
    people    BIGINT NOT NULL,
    against   BIGINT NOT NULL,
    scans     BIGINT NOT NULL,
    shut      BIGINT NOT NULL DEFAULT 0,
    earliest  BIGINT NOT NULL,
    latest    BIGINT NOT NULL,
    received  BIGINT NOT NULL,
    PRIMARY KEY (epoch_no, seq, digest)
);
CREATE INDEX passages_place ON passages (place_no, hour);
CREATE INDEX passages_kiosk ON passages (kiosk_no, hour);
CREATE INDEX passages_hour ON passages (hour);

-- +goose Down
DROP TABLE passages;
