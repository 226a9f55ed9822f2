-- Who may use the portal. Ids are never given out twice: the log names them for years.
CREATE TABLE users (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    name        TEXT NOT NULL UNIQUE,
    password    TEXT NOT NULL,    -- bcrypt
    must_change INTEGER NOT NULL, -- 1: nothing but a new password is allowed
    created_at  INTEGER NOT NULL  -- milliseconds since 1970-01-01 UTC, as all times here
) STRICT;

CREATE TABLE sessions (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    token      BLOB NOT NULL UNIQUE, -- SHA-256 of what is in the cookie
    user       INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX sessions_by_user ON sessions (user, id);

CREATE TABLE api_keys (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    secret       BLOB NOT NULL UNIQUE, -- SHA-256 of the key
    user         INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    name         TEXT NOT NULL,
    prefix       TEXT NOT NULL,        -- the key's first characters, to tell keys apart
    created_at   INTEGER NOT NULL,
    last_used_at INTEGER               -- to the minute; NULL: never used
) STRICT;
CREATE INDEX api_keys_by_user ON api_keys (user, id);
