-- +goose Up

-- Who holds cards. person is who check-ins are of; sealed is what is known of
-- them, under the person's own key. alike is a keyed hash of name, year of birth
-- and commune. office is the scope of whoever registered them.
CREATE TABLE holders (
    id      TEXT PRIMARY KEY,
    person  BIGINT NOT NULL UNIQUE REFERENCES people,
    office  TEXT NOT NULL,
    alike   BYTEA NOT NULL,
    sealed  BYTEA NOT NULL,
    version BIGINT NOT NULL,
    made_by TEXT NOT NULL,
    made    BIGINT NOT NULL,
    changed BIGINT NOT NULL
);
CREATE INDEX holders_office ON holders (office, made);
CREATE INDEX holders_alike ON holders (alike);

-- Cards that were issued together.
CREATE TABLE card_batches (
    id      TEXT PRIMARY KEY,
    office  TEXT NOT NULL,
    kind    BIGINT NOT NULL,
    cards   BIGINT NOT NULL,
    made_by TEXT NOT NULL,
    made    BIGINT NOT NULL
);
CREATE INDEX card_batches_office ON card_batches (office, made);

-- Days are of package pass. longest is the last day of any issue. A test card has
-- no holder.
CREATE TABLE cards (
    number  BIGINT PRIMARY KEY,
    batch   TEXT NOT NULL REFERENCES card_batches,
    holder  TEXT REFERENCES holders,
    office  TEXT NOT NULL,
    kind    BIGINT NOT NULL,
    people  BIGINT NOT NULL,
    issue   BIGINT NOT NULL,
    first   BIGINT NOT NULL,
    last    BIGINT NOT NULL,
    longest BIGINT NOT NULL,
    made    BIGINT NOT NULL,
    revoked BIGINT,
    reason  TEXT NOT NULL
);
CREATE INDEX cards_batch ON cards (batch, number);
CREATE INDEX cards_holder ON cards (holder);
CREATE INDEX cards_void ON cards (number) WHERE revoked IS NOT NULL OR issue > 1;

-- +goose Down

DROP TABLE cards;
DROP TABLE card_batches;
DROP TABLE holders;
