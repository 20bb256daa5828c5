-- Who may do what. Of a token's secret only a hash is kept.

CREATE TABLE token (
    id INTEGER PRIMARY KEY AUTOINCREMENT, -- never reused: it is part of the token
    name TEXT NOT NULL,
    role TEXT NOT NULL CHECK (role IN ('viewer', 'submitter', 'admin')),
    hash BLOB NOT NULL,                   -- BLAKE2b-256 of the secret's 32 random bytes
    created_at TEXT NOT NULL,             -- RFC 3339, UTC
    last_used_at TEXT,
    revoked_at TEXT
) STRICT;
