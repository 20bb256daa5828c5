-- What someone looked at and wants to show: a page of the dashboard with its settings, under a short id.

CREATE TABLE saved_view (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    state TEXT NOT NULL,     -- JSON object, the page's own
    created_at TEXT NOT NULL -- RFC 3339, UTC
) STRICT;
