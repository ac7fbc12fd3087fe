-- +goose Up

-- Codes that the portal has shown to new kiosks, by the hash of their token. State: 1
-- offered, 2 asked for by a key, 3 granted, 4 refused, 5 asked for by a second key.
CREATE TABLE enrolments (
    id         TEXT NOT NULL PRIMARY KEY,
    hash       BLOB NOT NULL UNIQUE,
    kiosk      TEXT NOT NULL, -- its id, once granted
    place_no   INTEGER NOT NULL,
    place      TEXT NOT NULL,
    gate       TEXT NOT NULL,
    lane       INTEGER NOT NULL,
    direction  INTEGER NOT NULL,
    replaces   TEXT NOT NULL, -- id of the kiosk that goes; empty for a new gate
    state      INTEGER NOT NULL,
    tries      INTEGER NOT NULL, -- by other keys
    public     BLOB,
    words      TEXT NOT NULL,
    model      TEXT NOT NULL,
    made_by    TEXT NOT NULL,
    made       INTEGER NOT NULL,
    until      INTEGER NOT NULL,
    asked      INTEGER NOT NULL,
    decided_by TEXT NOT NULL,
    decided    INTEGER NOT NULL,
    collected  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What the server knows of a kiosk's identity beside its row.
CREATE TABLE kiosk_identities (
    kiosk_no   INTEGER NOT NULL PRIMARY KEY REFERENCES kiosks,
    gate       TEXT NOT NULL,
    lane       INTEGER NOT NULL,
    direction  INTEGER NOT NULL, -- 0 if nobody has said
    replaces   TEXT NOT NULL,
    revoked    INTEGER NOT NULL,
    revoked_by TEXT NOT NULL,
    wipe       INTEGER NOT NULL, -- 1: to forget who it is when it next asks
    wiped      INTEGER NOT NULL,
    cloned     INTEGER NOT NULL -- when two machines were last seen to use it; 0 for none
) STRICT, WITHOUT ROWID;

-- +goose Down
DROP TABLE kiosk_identities;
DROP TABLE enrolments;
