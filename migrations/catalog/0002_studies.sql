-- Studies: a base spec, a grid, and the jobs that were made of them.

CREATE TABLE study (
    id INTEGER PRIMARY KEY AUTOINCREMENT, -- never reused
    name TEXT NOT NULL,
    note TEXT NOT NULL,
    base TEXT NOT NULL,                   -- JSON, as it was given
    grid TEXT NOT NULL,                   -- JSON, its keys in the order of the points
    created_at TEXT NOT NULL              -- RFC 3339, UTC
) STRICT;

CREATE TABLE study_job (
    study INTEGER NOT NULL REFERENCES study (id) ON DELETE CASCADE,
    position INTEGER NOT NULL, -- of the point, from 0
    point TEXT NOT NULL,       -- JSON
    job INTEGER NOT NULL UNIQUE REFERENCES job (id) ON DELETE CASCADE,
    PRIMARY KEY (study, position)
) STRICT, WITHOUT ROWID;
