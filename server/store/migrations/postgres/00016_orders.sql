-- +goose Up

-- What kiosks were told to do, and what became of it. state is 0 while nothing has. waits
-- is when a kiosk began to ask for the second step of a door order, pressed when somebody
-- took it.
CREATE TABLE orders (
    id       BYTEA PRIMARY KEY,
    kiosk_no BIGINT NOT NULL REFERENCES kiosks,
    kind     BIGINT NOT NULL,
    args     BYTEA NOT NULL,
    made_by  TEXT NOT NULL,
    issued   BIGINT NOT NULL,
    expires  BIGINT NOT NULL,
    state    BIGINT NOT NULL,
    reason   BIGINT NOT NULL,
    detail   TEXT NOT NULL,
    ended    BIGINT NOT NULL,
    checks   BYTEA,
    parts    BIGINT NOT NULL,
    waits    BIGINT NOT NULL,
    pressed  BIGINT NOT NULL
);
CREATE INDEX orders_of_kiosk ON orders (kiosk_no, issued);
CREATE INDEX orders_open ON orders (expires) WHERE ended = 0;

-- What orders brought: lines of a log, a blurred picture. It is looked at and dropped.
CREATE TABLE order_parts (
    id       BYTEA NOT NULL,
    part     BIGINT NOT NULL,
    data     BYTEA NOT NULL,
    received BIGINT NOT NULL,
    PRIMARY KEY (id, part)
);

-- Command cards that were made. kiosk_no is 0 of a card for every kiosk of a place.
CREATE TABLE command_cards (
    serial   BIGINT PRIMARY KEY,
    kind     BIGINT NOT NULL,
    arg      BIGINT NOT NULL,
    single   BIGINT NOT NULL,
    kiosk_no BIGINT NOT NULL,
    place_no BIGINT NOT NULL,
    begins   BIGINT NOT NULL,
    ends     BIGINT NOT NULL,
    note     TEXT NOT NULL,
    made_by  TEXT NOT NULL,
    made     BIGINT NOT NULL
);

-- How kiosks judged command cards, and messages that they refused, as their ledgers say.
-- card is the serial number; 0 if there is none, or it is not to be believed.
CREATE TABLE order_uses (
    epoch_no BIGINT NOT NULL,
    seq      BIGINT NOT NULL,
    kiosk_no BIGINT NOT NULL,
    kind     BIGINT NOT NULL,
    state    BIGINT NOT NULL,
    reason   BIGINT NOT NULL,
    card     BIGINT NOT NULL,
    id       BYTEA,
    undone   BIGINT NOT NULL,
    count    BIGINT NOT NULL,
    said     BIGINT NOT NULL,
    earliest BIGINT NOT NULL,
    latest   BIGINT NOT NULL,
    received BIGINT NOT NULL,
    PRIMARY KEY (epoch_no, seq)
);
CREATE INDEX order_uses_of_kiosk ON order_uses (kiosk_no, latest);
CREATE INDEX order_uses_undone ON order_uses (epoch_no, undone) WHERE undone > 0;

-- +goose Down
DROP TABLE order_uses;
DROP TABLE command_cards;
DROP TABLE order_parts;
DROP TABLE orders;
