-- People: roles, invitations, and what a key or a session is about.

-- Whoever there is could do everything until now, and goes on doing so.
ALTER TABLE users ADD COLUMN role TEXT NOT NULL DEFAULT 'member' CHECK (role IN ('admin', 'member'));
UPDATE users SET role = 'admin';
-- NULL: as MAX_APPS_PER_USER says.
ALTER TABLE users ADD COLUMN max_apps INTEGER;

-- At most one per user: a new one takes the place of the one before. A user whose password is '' has none yet.
CREATE TABLE invitations (
    user       INTEGER PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    token      BLOB NOT NULL UNIQUE, -- SHA-256 of what is in the link
    created_at INTEGER NOT NULL
) STRICT;

-- Where somebody signed in from; '' for sessions of before.
ALTER TABLE sessions ADD COLUMN address TEXT NOT NULL DEFAULT '';
ALTER TABLE sessions ADD COLUMN agent TEXT NOT NULL DEFAULT '';

-- What the key is narrowed to; NULL: every app of its user.
ALTER TABLE api_keys ADD COLUMN app TEXT;
ALTER TABLE api_keys ADD COLUMN deploy_only INTEGER NOT NULL DEFAULT 0;
