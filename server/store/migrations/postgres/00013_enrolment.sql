-- +goose Up

-- Codes that the portal has shown to new kiosks, by the hash of their token. State: 1
-- offered, 2 asked for by a key, 3 granted, 4 refused, 5 asked for by a second key.
CREATE TABLE enrolments (
    id         TEXT NOT NULL PRIMARY KEY,
    hash       BYTEA NOT NULL UNIQUE,
    kiosk      TEXT NOT NULL, -- its id, once granted
    place_no   BIGINT NOT NULL,
    place      TEXT NOT NULL,
    gate       TEXT NOT NULL,
    lane       BIGINT NOT NULL,
    direction  BIGINT NOT NULL,
    replaces   TEXT NOT NULL, -- id of the kiosk that goes; empty for a new gate
    state      BIGINT NOT NULL,
    tries      BIGINT NOT NULL, -- by other keys
    public     BYTEA,
    words      TEXT NOT NULL,
    model      TEXT NOT NULL,
    made_by    TEXT NOT NULL,
    made       BIGINT NOT NULL,
    until      BIGINT NOT NULL,
    asked      BIGINT NOT NULL,
    decided_by TEXT NOT NULL,
    decided    BIGINT NOT NULL,
    collected  BIGINT NOT NULL
);

-- What the server knows of a kiosk's identity beside its row.
CREATE TABLE kiosk_identities (
    kiosk_no   BIGINT NOT NULL PRIMARY KEY REFERENCES kiosks,
    gate       TEXT NOT NULL,
    lane       BIGINT NOT NULL,
    direction  BIGINT NOT NULL, -- 0 if nobody has said
    replaces   TEXT NOT NULL,
    revoked    BIGINT NOT NULL,
    revoked_by TEXT NOT NULL,
    wipe       BIGINT NOT NULL, -- 1: to forget who it is when it next asks
    wiped      BIGINT NOT NULL,
    cloned     BIGINT NOT NULL -- when two machines were last seen to use it; 0 for none
);

-- +goose Down
DROP TABLE kiosk_identities;
DROP TABLE enrolments;
