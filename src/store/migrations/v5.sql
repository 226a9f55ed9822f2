-- Visitors: who was let into which site, and by what.

-- Invitation links of sites. What is in a link is never stored, only its SHA-256.
CREATE TABLE guest_links (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    app          TEXT NOT NULL,
    name         TEXT NOT NULL,
    token        BLOB NOT NULL UNIQUE,
    created_at   INTEGER NOT NULL,
    expires_at   INTEGER, -- NULL: never
    uses         INTEGER NOT NULL DEFAULT 0,
    last_used_at INTEGER
) STRICT;
CREATE INDEX guest_links_of_app ON guest_links (app);

-- The other way in: one password per site, as a bcrypt hash.
CREATE TABLE site_passwords (
    app        TEXT PRIMARY KEY,
    password   TEXT NOT NULL,
    changed_at INTEGER NOT NULL
) STRICT;

-- What visitors' cookies stand for. It goes with what it was given for: a session of the portal, a link, or the password.
CREATE TABLE passes (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    token      BLOB NOT NULL UNIQUE,
    app        TEXT NOT NULL,
    session    INTEGER REFERENCES sessions (id) ON DELETE CASCADE,
    link       INTEGER REFERENCES guest_links (id) ON DELETE CASCADE,
    created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX passes_of_app ON passes (app);
CREATE INDEX passes_of_session ON passes (session);
CREATE INDEX passes_of_link ON passes (link);

-- An app that is made anew under the same name, or renamed to it, is another site: nobody was invited to it.
CREATE TRIGGER forget_visitors AFTER DELETE ON inventory BEGIN
    DELETE FROM passes WHERE app = old.app;
    DELETE FROM guest_links WHERE app = old.app;
    DELETE FROM site_passwords WHERE app = old.app;
END;
