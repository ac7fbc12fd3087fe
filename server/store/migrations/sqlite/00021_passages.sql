-- +goose Up

-- How many people passed a lane of a kiosk in a part of an hour, the lane's way and
-- against it, how many check-ins there were meanwhile, and how often the door was opened
-- for somebody who did not go through, as its ledger says. It ended between earliest and
-- latest. place_no is where the kiosk stood when that came.
CREATE TABLE passages (
    epoch_no  INTEGER NOT NULL,
    seq       INTEGER NOT NULL,
    digest    INTEGER NOT NULL,
    kiosk_no  INTEGER NOT NULL,
    place_no  INTEGER NOT NULL,
    gate      TEXT NOT NULL,
    lane      INTEGER NOT NULL,
    direction INTEGER NOT NULL,
    hour      INTEGER NOT NULL,
    took      INTEGER NOT NULL,
    people    INTEGER NOT NULL,
    against   INTEGER NOT NULL,
    scans     INTEGER NOT NULL,
    shut      INTEGER NOT NULL DEFAULT 0,
    earliest  INTEGER NOT NULL,
    latest    INTEGER NOT NULL,
    received  INTEGER NOT NULL,
    PRIMARY KEY (epoch_no, seq, digest)
) STRICT, WITHOUT ROWID;
CREATE INDEX passages_place ON passages (place_no, hour);
CREATE INDEX passages_kiosk ON passages (kiosk_no, hour);
CREATE INDEX passages_hour ON passages (hour);

-- +goose Down
DROP TABLE passages;
