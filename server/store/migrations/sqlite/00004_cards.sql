-- +goose Up

-- Who holds cards. person is who check-ins are of; sealed is what is known of
-- them, under the person's own key. alike is a keyed hash of name, year of birth
-- and commune. office is the scope of whoever registered them.
CREATE TABLE holders (
    id      TEXT PRIMARY KEY,
    person  INTEGER NOT NULL UNIQUE REFERENCES people,
    office  TEXT NOT NULL,
    alike   BLOB NOT NULL,
    sealed  BLOB NOT NULL,
    version INTEGER NOT NULL,
    made_by TEXT NOT NULL,
    made    INTEGER NOT NULL,
    changed INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX holders_office ON holders (office, made);
CREATE INDEX holders_alike ON holders (alike);

-- Cards that were issued together.
CREATE TABLE card_batches (
    id      TEXT PRIMARY KEY,
    office  TEXT NOT NULL,
    kind    INTEGER NOT NULL,
    cards   INTEGER NOT NULL,
    made_by TEXT NOT NULL,
    made    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX card_batches_office ON card_batches (office, made);

-- Days are of package pass. longest is the last day of any issue. A test card has
-- no holder.
CREATE TABLE cards (
    number  INTEGER PRIMARY KEY,
    batch   TEXT NOT NULL REFERENCES card_batches,
    holder  TEXT REFERENCES holders,
    office  TEXT NOT NULL,
    kind    INTEGER NOT NULL,
    people  INTEGER NOT NULL,
    issue   INTEGER NOT NULL,
    first   INTEGER NOT NULL,
    last    INTEGER NOT NULL,
    longest INTEGER NOT NULL,
    made    INTEGER NOT NULL,
    revoked INTEGER,
    reason  TEXT NOT NULL
) STRICT;
CREATE INDEX cards_batch ON cards (batch, number);
CREATE INDEX cards_holder ON cards (holder);
CREATE INDEX cards_void ON cards (number) WHERE revoked IS NOT NULL OR issue > 1;

-- +goose Down

DROP TABLE cards;
DROP TABLE card_batches;
DROP TABLE holders;
