-- Jobs, every change of their state, and the event log. Written by the daemon's scheduler alone.

CREATE TABLE job (
    id INTEGER PRIMARY KEY AUTOINCREMENT, -- never reused
    name TEXT NOT NULL,
    tags TEXT NOT NULL,                   -- JSON array of strings
    note TEXT NOT NULL DEFAULT '',
    state TEXT NOT NULL
        CHECK (state IN ('queued', 'running', 'paused', 'finished', 'failed', 'diverged', 'cancelled')),
    reason TEXT,
    attempt INTEGER NOT NULL DEFAULT 1,
    crashes INTEGER NOT NULL DEFAULT 0,   -- workers that died in a row
    cancel_reason TEXT,                   -- set when a cancel was asked for, so that it survives the daemon
    priority INTEGER NOT NULL,
    spec TEXT NOT NULL,                   -- expanded, compact JSON
    spec_hash TEXT NOT NULL,
    created_at TEXT NOT NULL,             -- RFC 3339, UTC
    started_at TEXT,
    ended_at TEXT,
    progress TEXT NOT NULL DEFAULT '{}',  -- JSON, as the API shows it
    results TEXT NOT NULL DEFAULT '{}'    -- JSON, newest and best figures
) STRICT;

CREATE INDEX job_by_state ON job (state, priority DESC, id);

CREATE TABLE job_state (
    id INTEGER PRIMARY KEY,
    job INTEGER NOT NULL REFERENCES job (id),
    at TEXT NOT NULL,
    state TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    reason TEXT
) STRICT;

CREATE INDEX job_state_by_job ON job_state (job, id);

-- Ids have no gaps. The newest event is never deleted, so that the next id is known.
CREATE TABLE event (
    id INTEGER PRIMARY KEY,
    at TEXT NOT NULL,
    type TEXT NOT NULL,
    job INTEGER NOT NULL, -- 0: of none
    data TEXT NOT NULL    -- compact JSON
) STRICT;
