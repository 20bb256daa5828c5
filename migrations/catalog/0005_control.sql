-- What jobs need to be paused, tried again, thrown away and limited.

ALTER TABLE job ADD COLUMN retry_of INTEGER;              -- the job that this one tries again; it may be purged
ALTER TABLE job ADD COLUMN pause_reason TEXT;             -- set when a pause was asked for while it ran
ALTER TABLE job ADD COLUMN waits_for_space INTEGER NOT NULL DEFAULT 0; -- paused by a full disk, goes on by itself
ALTER TABLE job ADD COLUMN trashed_at TEXT;               -- in the trash since
ALTER TABLE job ADD COLUMN seconds REAL NOT NULL DEFAULT 0; -- that its workers ran, all attempts together

CREATE INDEX job_by_end ON job (ended_at) WHERE ended_at IS NOT NULL;

-- The jobs that were submitted with a key: the same request sent again makes no second job.
CREATE TABLE submission (
    key TEXT PRIMARY KEY,
    request TEXT NOT NULL, -- a hash of what was asked for
    job INTEGER NOT NULL,
    at TEXT NOT NULL
) STRICT, WITHOUT ROWID;
