-- Facts about the installation as a whole.
CREATE TABLE meta (
    name  TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- One row per app the daemon is responsible for. `row` is an InventoryRow as JSON.
CREATE TABLE inventory (
    app TEXT NOT NULL PRIMARY KEY,
    row TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- What was done and why. Ids only grow and have no gaps: the oldest rows are the lowest ids.
CREATE TABLE events (
    id    INTEGER PRIMARY KEY,
    at    INTEGER NOT NULL, -- milliseconds since 1970-01-01 UTC
    app   TEXT,             -- NULL: the daemon as a whole
    kind  TEXT NOT NULL,
    what  TEXT NOT NULL,
    cause TEXT NOT NULL
) STRICT;
CREATE INDEX events_by_app ON events (app, id);
