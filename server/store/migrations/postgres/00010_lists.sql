-- +goose Up

-- The list of void cards as kiosks get it; without a row its version is 1 and
-- nothing was ever void. version rises with each change. Nothing has left the list since version base,
-- when cards whose longest day is before day since left it. confirmed is the
-- generation whose list an operator has said to be whole.
CREATE TABLE lists (
    id        BIGINT PRIMARY KEY CHECK (id = 1),
    version   BIGINT NOT NULL,
    base      BIGINT NOT NULL,
    since     BIGINT NOT NULL,
    confirmed BIGINT NOT NULL
);

-- voided is the list's version in which a card's line last changed; 0 has none.
ALTER TABLE cards ADD COLUMN voided BIGINT NOT NULL DEFAULT 0;
DROP INDEX cards_void;
CREATE INDEX cards_voided ON cards (voided) WHERE voided > 0;
UPDATE cards SET voided = 2 WHERE revoked IS NOT NULL OR issue > 1;
INSERT INTO lists (id, version, base, since, confirmed) SELECT 1, 2, 1, 0, 0 FROM cards WHERE voided > 0 LIMIT 1;

-- +goose Down

DROP INDEX cards_voided;
ALTER TABLE cards DROP COLUMN voided;
CREATE INDEX cards_void ON cards (number) WHERE revoked IS NOT NULL OR issue > 1;
DROP TABLE lists;
