-- +goose Up

-- What ought to register, as a department says. area is the commune as it was
-- named, area_now the one it is in today. place is set by who knows that a
-- registered place of another name is meant; others are found by name and commune.
CREATE TABLE listed (
    id       TEXT PRIMARY KEY,
    name     TEXT NOT NULL,
    folded   TEXT NOT NULL,
    sector   TEXT NOT NULL,
    kind     TEXT NOT NULL,
    area     TEXT NOT NULL,
    area_now TEXT NOT NULL,
    street   TEXT NOT NULL,
    phone    TEXT NOT NULL,
    place    INTEGER REFERENCES places,
    made_by  TEXT NOT NULL,
    made     INTEGER NOT NULL,
    UNIQUE (sector, area_now, folded)
) STRICT, WITHOUT ROWID;
CREATE INDEX listed_area ON listed (area_now, folded);

-- So many per cent of the places of a sector, an area or a kind, each empty for
-- all, have come to a stage by a day.
CREATE TABLE targets (
    id      TEXT PRIMARY KEY,
    sector  TEXT NOT NULL,
    area    TEXT NOT NULL,
    kind    TEXT NOT NULL,
    stage   INTEGER NOT NULL,
    percent INTEGER NOT NULL,
    begun   INTEGER NOT NULL,
    due     INTEGER NOT NULL,
    note    TEXT NOT NULL,
    version INTEGER NOT NULL,
    made_by TEXT NOT NULL,
    made    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- checks is JSON. people and scanned were counted at the door for some minutes.
-- due is the day by which something is to be put right, settled when it was.
CREATE TABLE inspections (
    id         TEXT PRIMARY KEY,
    place      INTEGER NOT NULL REFERENCES places,
    at         INTEGER NOT NULL,
    made_by    TEXT NOT NULL,
    poster     INTEGER NOT NULL,
    checks     TEXT NOT NULL,
    people     INTEGER NOT NULL,
    scanned    INTEGER NOT NULL,
    result     TEXT NOT NULL,
    note       TEXT NOT NULL,
    due        INTEGER,
    settled    INTEGER,
    settled_by TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX inspections_place ON inspections (place, at);
CREATE INDEX inspections_at ON inspections (at);
CREATE INDEX inspections_due ON inspections (due) WHERE due IS NOT NULL AND settled IS NULL;

-- Reports, each as it is now; report_versions has it as it was. body is JSON.
-- issued is set when a report is finished: from then on it does not change.
CREATE TABLE reports (
    id         TEXT PRIMARY KEY,
    sector     TEXT NOT NULL,
    area       TEXT NOT NULL,
    title      TEXT NOT NULL,
    version    INTEGER NOT NULL,
    made_by    TEXT NOT NULL,
    made       INTEGER NOT NULL,
    changed_by TEXT NOT NULL,
    changed    INTEGER NOT NULL,
    issued     INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX reports_changed ON reports (changed);

CREATE TABLE report_versions (
    report  TEXT NOT NULL REFERENCES reports,
    version INTEGER NOT NULL,
    body    TEXT NOT NULL,
    made_by TEXT NOT NULL,
    made    INTEGER NOT NULL,
    PRIMARY KEY (report, version)
) STRICT, WITHOUT ROWID;

-- +goose Down
DROP TABLE report_versions;
DROP TABLE reports;
DROP TABLE inspections;
DROP TABLE targets;
DROP TABLE listed;
