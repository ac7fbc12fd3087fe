-- +goose Up

-- What kiosks were told to do, and what became of it. state is 0 while nothing has. waits
-- is when a kiosk began to ask for the second step of a door order, pressed when somebody
-- took it.
CREATE TABLE orders (
    id       BLOB PRIMARY KEY,
    kiosk_no INTEGER NOT NULL REFERENCES kiosks,
    kind     INTEGER NOT NULL,
    args     BLOB NOT NULL,
    made_by  TEXT NOT NULL,
    issued   INTEGER NOT NULL,
    expires  INTEGER NOT NULL,
    state    INTEGER NOT NULL,
    reason   INTEGER NOT NULL,
    detail   TEXT NOT NULL,
    ended    INTEGER NOT NULL,
    checks   BLOB,
    parts    INTEGER NOT NULL,
    waits    INTEGER NOT NULL,
    pressed  INTEGER NOT NULL
) STRICT;
CREATE INDEX orders_of_kiosk ON orders (kiosk_no, issued);
CREATE INDEX orders_open ON orders (expires) WHERE ended = 0;

-- What orders brought: lines of a log, a blurred picture. It is looked at and dropped.
CREATE TABLE order_parts (
    id       BLOB NOT NULL,
    part     INTEGER NOT NULL,
    data     BLOB NOT NULL,
    received INTEGER NOT NULL,
    PRIMARY KEY (id, part)
) STRICT, WITHOUT ROWID;

-- Command cards that were made. kiosk_no is 0 of a card for every kiosk of a place.
CREATE TABLE command_cards (
    serial   INTEGER PRIMARY KEY,
    kind     INTEGER NOT NULL,
    arg      INTEGER NOT NULL,
    single   INTEGER NOT NULL,
    kiosk_no INTEGER NOT NULL,
    place_no INTEGER NOT NULL,
    begins   INTEGER NOT NULL,
    ends     INTEGER NOT NULL,
    note     TEXT NOT NULL,
    made_by  TEXT NOT NULL,
    made     INTEGER NOT NULL
) STRICT;

-- How kiosks judged command cards, and messages that they refused, as their ledgers say.
-- card is the serial number; 0 if there is none, or it is not to be believed.
CREATE TABLE order_uses (
    epoch_no INTEGER NOT NULL,
    seq      INTEGER NOT NULL,
    kiosk_no INTEGER NOT NULL,
    kind     INTEGER NOT NULL,
    state    INTEGER NOT NULL,
    reason   INTEGER NOT NULL,
    card     INTEGER NOT NULL,
    id       BLOB,
    undone   INTEGER NOT NULL,
    count    INTEGER NOT NULL,
    said     INTEGER NOT NULL,
    earliest INTEGER NOT NULL,
    latest   INTEGER NOT NULL,
    received INTEGER NOT NULL,
    PRIMARY KEY (epoch_no, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX order_uses_of_kiosk ON order_uses (kiosk_no, latest);
CREATE INDEX order_uses_undone ON order_uses (epoch_no, undone) WHERE undone > 0;

-- +goose Down
DROP TABLE order_uses;
DROP TABLE command_cards;
DROP TABLE order_parts;
DROP TABLE orders;
