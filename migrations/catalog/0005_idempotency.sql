-- Submissions that were named by the client, so that one sent again is not made again. Kept for a day.

CREATE TABLE idempotency (
    owner INTEGER NOT NULL,     -- the token that it came with; 0: none
    key TEXT NOT NULL,
    fingerprint TEXT NOT NULL,  -- of what was submitted
    job INTEGER NOT NULL REFERENCES job (id) ON DELETE CASCADE,
    created_at TEXT NOT NULL,   -- RFC 3339, UTC
    PRIMARY KEY (owner, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX idempotency_by_age ON idempotency (created_at);
CREATE INDEX idempotency_by_job ON idempotency (job);
