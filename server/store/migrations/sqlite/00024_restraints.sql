-- +goose Up

-- Whose data is kept but not used, because they asked for it. request is the
-- request that was fulfilled.
CREATE TABLE restraints (
    person  INTEGER NOT NULL,
    kind    TEXT NOT NULL,
    since   INTEGER NOT NULL,
    made_by TEXT NOT NULL,
    request TEXT NOT NULL,
    PRIMARY KEY (person, kind)
) STRICT, WITHOUT ROWID;
CREATE INDEX restraints_request ON restraints (request);

-- What a glass let an officer see: '' the persons of a case that nobody approved,
-- 'restraint' those who had the use of their data restricted. Of the latter until
-- is made, so that a server of the version before does not take it for the former.
ALTER TABLE case_glasses ADD COLUMN kind TEXT NOT NULL DEFAULT '';

-- Associations, which are organisations, see figures of those that are their members.
CREATE TABLE association_members (
    association  TEXT NOT NULL REFERENCES organisations,
    organisation TEXT NOT NULL REFERENCES organisations,
    made_by      TEXT NOT NULL,
    made         INTEGER NOT NULL,
    PRIMARY KEY (association, organisation)
) STRICT, WITHOUT ROWID;
CREATE INDEX association_members_organisation ON association_members (organisation);

-- +goose Down
DROP TABLE association_members;
ALTER TABLE case_glasses DROP COLUMN kind;
DROP TABLE restraints;
