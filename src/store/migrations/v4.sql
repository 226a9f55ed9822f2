-- The second step of signing in, for whoever wants one.
CREATE TABLE totp (
    user      INTEGER PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    secret    BLOB NOT NULL,              -- as it is: every code is computed from it
    confirmed INTEGER NOT NULL DEFAULT 0, -- 0: no code of it was typed yet, so none is asked for
    last_step INTEGER NOT NULL DEFAULT 0, -- of the last code that was used: no code of it or before is good again
    begun_at  INTEGER NOT NULL
) STRICT;

-- Each good once, and gone then.
CREATE TABLE recovery_codes (
    user INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    code BLOB NOT NULL, -- SHA-256 of it
    PRIMARY KEY (user, code)
) STRICT, WITHOUT ROWID;
