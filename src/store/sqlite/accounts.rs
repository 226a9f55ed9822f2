//! Users, sessions and API keys in the same file.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::{BUSY_TIMEOUT, SqliteStore};
use crate::model::{AppKey, Quotas, Timestamp, UserId};
use crate::store::accounts::{
    AccountStore, Answer, ApiKey, Changed, KeyId, KeyScope, Keys, NewKeyRow, NewPassword, NewPerson, NewSessionRow,
    PasswordHash, PersonRow, Revoked, Role, SecretHash, SessionId, SessionInfo, SessionRow, Sessions, TotpRow,
    TotpSecret, User, UserRef,
};

/// How old a key's stamp may be, in milliseconds: every stamp is a flush to disk.
const STAMP_EVERY: i64 = 60_000;

/// When a key's use was last to be stamped and could not be, in milliseconds; for as long as a stamp may be old, none is
/// tried again.
#[derive(Debug)]
pub(super) struct Stamps {
    failed_at: AtomicI64,
}

impl Default for Stamps {
    fn default() -> Self {
        Self { failed_at: AtomicI64::new(i64::MIN) }
    }
}

impl Stamps {
    fn may_be_tried(&self, now: Timestamp) -> bool {
        is_old(self.failed_at.load(Ordering::Relaxed), now)
    }

    fn failed(&self, now: Timestamp) {
        self.failed_at.store(now.0, Ordering::Relaxed);
    }
}

/// In both directions: after a clock that ran ahead was put right, a stamp would stay in the future.
fn is_old(stamp: i64, now: Timestamp) -> bool {
    now.0.abs_diff(stamp) >= STAMP_EVERY.unsigned_abs()
}

impl AccountStore for SqliteStore {
    fn users(&self) -> Answer<'_, Vec<String>> {
        Box::pin(self.call(|connection| {
            let mut statement = connection.prepare("SELECT name FROM users ORDER BY name")?;
            statement.query_map([], |row| row.get(0))?.collect()
        }))
    }

    fn user(&self, name: &str) -> Answer<'_, Option<(User, PasswordHash)>> {
        let name = name.to_owned();
        Box::pin(self.call(move |connection| {
            connection
                .prepare_cached("SELECT id, name, role, must_change, password FROM users WHERE name = ?1")?
                .query_row([name], |row| Ok((read_user(row, 0)?, PasswordHash(row.get(4)?))))
                .optional()
        }))
    }

    fn add_first_user(&self, name: &str, password: PasswordHash, now: Timestamp) -> Answer<'_, bool> {
        let name = name.to_owned();
        Box::pin(self.call(move |connection| {
            let added = connection.execute(
                "INSERT INTO users (name, password, must_change, created_at, role)
                 SELECT ?1, ?2, 1, ?3, 'admin' WHERE NOT EXISTS (SELECT 1 FROM users)",
                params![name, password.0, now.0],
            )?;
            Ok(added == 1)
        }))
    }

    fn set_password(&self, new: NewPassword) -> Answer<'_, bool> {
        Box::pin(self.call(move |connection| set_password(connection, &new)))
    }

    fn people(&self) -> Answer<'_, Vec<PersonRow>> {
        Box::pin(self.call(|connection| {
            let mut statement = connection.prepare_cached(&format!("{PERSON} ORDER BY name"))?;
            statement.query_map([], read_person)?.collect()
        }))
    }

    fn add_person(&self, new: NewPerson) -> Answer<'_, bool> {
        Box::pin(self.call(move |connection| {
            let transaction = connection.transaction()?;
            let added: Option<i64> = transaction
                .query_row(
                    "INSERT INTO users (name, password, must_change, created_at, role, max_apps) VALUES (?1, '', 0, ?2, ?3, ?4)
                     ON CONFLICT (name) DO NOTHING RETURNING id",
                    params![new.name, new.created_at.0, new.role.word(), new.max_apps],
                    |row| row.get(0),
                )
                .optional()?;
            let Some(id) = added else { return Ok(false) };
            put_invitation(&transaction, id, new.invitation, new.created_at)?;
            transaction.commit()?;
            Ok(true)
        }))
    }

    fn invite(&self, name: &str, token: SecretHash, now: Timestamp) -> Answer<'_, bool> {
        let name = name.to_owned();
        Box::pin(self.call(move |connection| {
            let transaction = connection.transaction()?;
            let found: Option<i64> =
                transaction.query_row("SELECT id FROM users WHERE name = ?1", [name], |row| row.get(0)).optional()?;
            let Some(id) = found else { return Ok(false) };
            put_invitation(&transaction, id, token, now)?;
            transaction.commit()?;
            Ok(true)
        }))
    }

    fn invitation(&self, token: SecretHash) -> Answer<'_, Option<PersonRow>> {
        Box::pin(self.call(move |connection| {
            connection
                .prepare_cached(&format!("{PERSON} WHERE token = ?1"))?
                .query_row([token.0], read_person)
                .optional()
        }))
    }

    fn accept(&self, token: SecretHash, issued_after: Timestamp, password: PasswordHash) -> Answer<'_, Option<User>> {
        Box::pin(self.call(move |connection| {
            let transaction = connection.transaction()?;
            let whose: Option<i64> = transaction
                .query_row(
                    "DELETE FROM invitations WHERE token = ?1 AND created_at > ?2 RETURNING user",
                    params![token.0, issued_after.0],
                    |row| row.get(0),
                )
                .optional()?;
            let Some(id) = whose else { return Ok(None) };
            transaction.execute("DELETE FROM sessions WHERE user = ?1", [id])?;
            let user = transaction.query_row(
                "UPDATE users SET password = ?1, must_change = 0 WHERE id = ?2 RETURNING id, name, role, must_change",
                params![password.0, id],
                |row| read_user(row, 0),
            )?;
            transaction.commit()?;
            Ok(Some(user))
        }))
    }

    fn set_role(&self, name: &str, role: Role) -> Answer<'_, Changed> {
        let name = name.to_owned();
        Box::pin(self.call(move |connection| {
            let transaction = connection.transaction()?;
            if role != Role::Admin && is_last_admin(&transaction, &name)? {
                return Ok(Changed::LastAdmin);
            }
            let changed =
                transaction.execute("UPDATE users SET role = ?1 WHERE name = ?2", params![role.word(), name])?;
            transaction.commit()?;
            Ok(if changed == 0 { Changed::NoSuchUser } else { Changed::Done })
        }))
    }

    fn set_quota(&self, name: &str, max_apps: Option<u32>) -> Answer<'_, bool> {
        let name = name.to_owned();
        Box::pin(self.call(move |connection| {
            let set = connection.execute("UPDATE users SET max_apps = ?1 WHERE name = ?2", params![max_apps, name])?;
            Ok(set == 1)
        }))
    }

    fn quotas(&self) -> Answer<'_, Quotas> {
        Box::pin(self.call(|connection| {
            let mut statement =
                connection.prepare_cached("SELECT name, max_apps FROM users WHERE max_apps IS NOT NULL")?;
            let rows = statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get(1)?)))?;
            let rows = rows.collect::<rusqlite::Result<Vec<_>>>()?;
            // Whose name is no userid has no apps.
            Ok(Quotas::new(
                rows.into_iter().filter_map(|(name, most)| Some((UserId::parse(&name).ok()?, most))).collect(),
            ))
        }))
    }

    fn remove_person(&self, name: &str) -> Answer<'_, Changed> {
        let name = name.to_owned();
        Box::pin(self.call(move |connection| {
            let transaction = connection.transaction()?;
            if is_last_admin(&transaction, &name)? {
                return Ok(Changed::LastAdmin);
            }
            // Sessions, keys and the invitation go by their foreign keys.
            let removed = transaction.execute("DELETE FROM users WHERE name = ?1", [&name])?;
            // Whom they invited to their sites: a link that they kept would let them in for ever.
            if removed > 0 {
                for table in ["passes", "guest_links", "site_passwords"] {
                    let of_theirs = format!("DELETE FROM {table} WHERE substr(app, 1, length(?1) + 1) = ?1 || '-'");
                    transaction.execute(&of_theirs, [&name])?;
                }
            }
            transaction.commit()?;
            Ok(if removed == 0 { Changed::NoSuchUser } else { Changed::Done })
        }))
    }

    fn totp(&self, user: UserRef) -> Answer<'_, Option<TotpRow>> {
        Box::pin(self.call(move |connection| {
            connection
                .prepare_cached(
                    "SELECT secret, confirmed, (SELECT count(*) FROM recovery_codes WHERE user = ?1)
                     FROM totp WHERE user = ?1",
                )?
                .query_row([user.0], |row| {
                    let (secret, confirmed) = (TotpSecret(row.get(0)?), row.get(1)?);
                    Ok(TotpRow { secret, confirmed, recovery_codes_left: row.get(2)? })
                })
                .optional()
        }))
    }

    fn begin_totp(&self, user: UserRef, secret: TotpSecret, now: Timestamp) -> Answer<'_, bool> {
        Box::pin(self.call(move |connection| {
            let begun = connection.execute(
                "INSERT INTO totp (user, secret, begun_at) VALUES (?1, ?2, ?3)
                 ON CONFLICT (user) DO UPDATE SET secret = ?2, begun_at = ?3 WHERE confirmed = 0",
                params![user.0, secret.0, now.0],
            )?;
            Ok(begun == 1)
        }))
    }

    fn confirm_totp(&self, user: UserRef, secret: TotpSecret, step: u64, codes: Vec<SecretHash>) -> Answer<'_, bool> {
        Box::pin(self.call(move |connection| {
            let transaction = connection.transaction()?;
            let confirmed = transaction.execute(
                "UPDATE totp SET confirmed = 1, last_step = ?3 WHERE user = ?1 AND secret = ?2 AND confirmed = 0",
                params![user.0, secret.0, step.cast_signed()],
            )?;
            if confirmed == 0 {
                return Ok(false);
            }
            transaction.execute("DELETE FROM recovery_codes WHERE user = ?1", [user.0])?;
            for code in codes {
                transaction
                    .execute("INSERT INTO recovery_codes (user, code) VALUES (?1, ?2)", params![user.0, code.0])?;
            }
            transaction.commit()?;
            Ok(true)
        }))
    }

    fn use_totp(&self, user: UserRef, step: u64) -> Answer<'_, bool> {
        Box::pin(self.call(move |connection| {
            let changed = connection.execute(
                "UPDATE totp SET last_step = ?2 WHERE user = ?1 AND confirmed = 1 AND last_step < ?2",
                params![user.0, step.cast_signed()],
            )?;
            Ok(changed == 1)
        }))
    }

    fn use_recovery_code(&self, user: UserRef, code: SecretHash) -> Answer<'_, bool> {
        Box::pin(self.call(move |connection| {
            let changed = connection
                .execute("DELETE FROM recovery_codes WHERE user = ?1 AND code = ?2", params![user.0, code.0])?;
            Ok(changed == 1)
        }))
    }

    fn remove_totp(&self, user: UserRef) -> Answer<'_, bool> {
        Box::pin(self.call(move |connection| {
            let transaction = connection.transaction()?;
            transaction.execute("DELETE FROM recovery_codes WHERE user = ?1", [user.0])?;
            let removed = transaction.execute("DELETE FROM totp WHERE user = ?1", [user.0])?;
            transaction.commit()?;
            Ok(removed == 1)
        }))
    }

    fn add_session(&self, new: NewSessionRow) -> Answer<'_, Option<SessionId>> {
        Box::pin(self.call(move |connection| add_session(connection, &new)))
    }

    fn session(&self, token: SecretHash) -> Answer<'_, Option<SessionRow>> {
        Box::pin(self.call(move |connection| {
            connection
                .prepare_cached(
                    "SELECT users.id, name, role, must_change, sessions.id, sessions.created_at
                     FROM sessions JOIN users ON users.id = sessions.user WHERE token = ?1",
                )?
                .query_row([token.0], |row| {
                    let (id, created_at) = (SessionId(row.get(4)?), Timestamp(row.get(5)?));
                    Ok(SessionRow { id, user: read_user(row, 0)?, created_at })
                })
                .optional()
        }))
    }

    fn remove_session(&self, id: SessionId) -> Answer<'_, ()> {
        Box::pin(
            self.call(move |connection| connection.execute("DELETE FROM sessions WHERE id = ?1", [id.0]).map(drop)),
        )
    }

    fn sessions(&self, user: UserRef) -> Answer<'_, Vec<SessionInfo>> {
        Box::pin(self.call(move |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT id, created_at, address, agent FROM sessions WHERE user = ?1 ORDER BY id DESC",
            )?;
            let read = |row: &Row<'_>| {
                let (id, created_at) = (SessionId(row.get(0)?), Timestamp(row.get(1)?));
                Ok(SessionInfo { id, created_at, address: row.get(2)?, agent: row.get(3)? })
            };
            statement.query_map([user.0], read)?.collect()
        }))
    }

    fn end_session(&self, user: UserRef, id: SessionId) -> Answer<'_, bool> {
        Box::pin(self.call(move |connection| {
            let ended =
                connection.execute("DELETE FROM sessions WHERE id = ?1 AND user = ?2", params![id.0, user.0])?;
            Ok(ended == 1)
        }))
    }

    fn revoke_all(&self, user: UserRef) -> Answer<'_, Revoked> {
        Box::pin(self.call(move |connection| {
            let transaction = connection.transaction()?;
            let sessions = transaction.execute("DELETE FROM sessions WHERE user = ?1", [user.0])?;
            let keys = transaction.execute("DELETE FROM api_keys WHERE user = ?1", [user.0])?;
            transaction.execute("DELETE FROM invitations WHERE user = ?1", [user.0])?;
            transaction.commit()?;
            Ok(Revoked { sessions, keys })
        }))
    }

    fn keys(&self, user: UserRef) -> Answer<'_, Vec<ApiKey>> {
        Box::pin(self.call(move |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT id, name, prefix, created_at, last_used_at, app, deploy_only FROM api_keys WHERE user = ?1 ORDER BY id",
            )?;
            statement.query_map([user.0], |row| read_key(row, 0))?.collect()
        }))
    }

    fn use_key(&self, secret: SecretHash, now: Timestamp) -> Answer<'_, Option<(ApiKey, User)>> {
        let stamps = Arc::clone(&self.stamps);
        Box::pin(self.call(move |connection| use_key(connection, &stamps, secret, now)))
    }

    fn add_key(&self, new: NewKeyRow) -> Answer<'_, Option<ApiKey>> {
        Box::pin(self.call(move |connection| {
            connection
                .query_row(
                    "INSERT INTO api_keys (secret, user, name, prefix, created_at, app, deploy_only)
                     SELECT ?1, ?2, ?3, ?4, ?5, ?7, ?8 WHERE (SELECT count(*) FROM api_keys WHERE user = ?2) < ?6
                     RETURNING id, name, prefix, created_at, last_used_at, app, deploy_only",
                    params![
                        new.secret.0,
                        new.user.0,
                        new.name,
                        new.prefix,
                        new.created_at.0,
                        new.most,
                        new.scope.app.as_ref().map(ToString::to_string),
                        new.scope.deploy_only,
                    ],
                    |row| read_key(row, 0),
                )
                .optional()
        }))
    }

    fn remove_key(&self, user: UserRef, id: KeyId) -> Answer<'_, bool> {
        Box::pin(self.call(move |connection| {
            let removed =
                connection.execute("DELETE FROM api_keys WHERE id = ?1 AND user = ?2", params![id.0, user.0])?;
            Ok(removed == 1)
        }))
    }
}

const PERSON: &str =
    "SELECT id, name, role, must_change, password <> '', users.created_at, invitations.created_at, max_apps,
            EXISTS (SELECT 1 FROM totp WHERE totp.user = users.id AND confirmed = 1)
     FROM users LEFT JOIN invitations ON invitations.user = users.id";

fn read_person(row: &Row<'_>) -> rusqlite::Result<PersonRow> {
    Ok(PersonRow {
        user: read_user(row, 0)?,
        has_password: row.get(4)?,
        created_at: Timestamp(row.get(5)?),
        invited_at: row.get::<_, Option<i64>>(6)?.map(Timestamp),
        max_apps: row.get(7)?,
        has_totp: row.get(8)?,
    })
}

fn put_invitation(connection: &Connection, user: i64, token: SecretHash, now: Timestamp) -> rusqlite::Result<()> {
    let put = "INSERT OR REPLACE INTO invitations (user, token, created_at) VALUES (?1, ?2, ?3)";
    connection.execute(put, params![user, token.0, now.0]).map(drop)
}

/// Whether nobody could run the box without them: who is only invited cannot yet.
fn is_last_admin(connection: &Connection, name: &str) -> rusqlite::Result<bool> {
    connection.query_row(
        "SELECT EXISTS (SELECT 1 FROM users WHERE name = ?1 AND role = 'admin' AND password <> '')
            AND NOT EXISTS (SELECT 1 FROM users WHERE name <> ?1 AND role = 'admin' AND password <> '')",
        [name],
        |row| row.get(0),
    )
}

fn set_password(connection: &mut Connection, new: &NewPassword) -> rusqlite::Result<bool> {
    let transaction = connection.transaction()?;
    let replaced = transaction.execute(
        "UPDATE users SET password = ?1, must_change = ?2 WHERE id = ?3 AND password = coalesce(?4, password)",
        params![new.password.0, new.must_change, new.user.0, new.instead_of.as_ref().map(|hash| &hash.0)],
    )?;
    if replaced == 0 {
        return Ok(false);
    }
    // A hash made anew of the same password is no new password.
    if !matches!((new.sessions, &new.instead_of), (Sessions::Keep, Some(_))) {
        transaction.execute("DELETE FROM invitations WHERE user = ?1", [new.user.0])?;
    }
    match new.sessions {
        Sessions::Keep => 0,
        Sessions::EndAll => transaction.execute("DELETE FROM sessions WHERE user = ?1", [new.user.0])?,
        Sessions::EndAllBut(id) => {
            transaction.execute("DELETE FROM sessions WHERE user = ?1 AND id <> ?2", params![new.user.0, id.0])?
        }
    };
    match new.keys {
        Keys::Keep => 0,
        Keys::RevokeAll => transaction.execute("DELETE FROM api_keys WHERE user = ?1", [new.user.0])?,
    };
    transaction.commit()?;
    Ok(true)
}

fn add_session(connection: &mut Connection, new: &NewSessionRow) -> rusqlite::Result<Option<SessionId>> {
    let transaction = connection.transaction()?;
    let id: Option<i64> = transaction
        .query_row(
            "INSERT INTO sessions (token, user, created_at, address, agent)
             SELECT ?1, id, ?3, ?5, ?6 FROM users WHERE id = ?2 AND password = ?4 RETURNING id",
            params![new.token.0, new.user.0, new.created_at.0, new.verified.0, new.address, new.agent],
            |row| row.get(0),
        )
        .optional()?;
    transaction.execute("DELETE FROM sessions WHERE created_at < ?1", [new.expired_at.0])?;
    transaction.execute(
        "DELETE FROM sessions WHERE user = ?1 AND id NOT IN
             (SELECT id FROM sessions WHERE user = ?1 ORDER BY id DESC LIMIT ?2)",
        params![new.user.0, new.most],
    )?;
    transaction.commit()?;
    Ok(id.map(SessionId))
}

fn use_key(
    connection: &mut Connection,
    stamps: &Stamps,
    secret: SecretHash,
    now: Timestamp,
) -> rusqlite::Result<Option<(ApiKey, User)>> {
    let found = connection
        .prepare_cached(
            "SELECT users.id, users.name, role, must_change,
                    api_keys.id, api_keys.name, prefix, api_keys.created_at, last_used_at, app, deploy_only
             FROM api_keys JOIN users ON users.id = api_keys.user WHERE secret = ?1",
        )?
        .query_row([secret.0], |row| Ok((read_key(row, 4)?, read_user(row, 0)?)))
        .optional()?;
    if let Some((key, _)) = &found
        && key.last_used_at.is_none_or(|last| is_old(last.0, now))
        && stamps.may_be_tried(now)
        // A disk that is full, or a database that somebody else holds, makes no key invalid.
        && stamp(connection, key.id, now).is_err()
    {
        stamps.failed(now);
    }
    Ok(found)
}

/// Does not wait for whoever holds the database: everybody else's requests would wait with it.
fn stamp(connection: &Connection, key: KeyId, now: Timestamp) -> rusqlite::Result<()> {
    connection.busy_timeout(Duration::ZERO)?;
    let stamped = connection
        .prepare_cached("UPDATE api_keys SET last_used_at = ?1 WHERE id = ?2")
        .and_then(|mut update| update.execute(params![now.0, key.0]));
    connection.busy_timeout(BUSY_TIMEOUT)?;
    stamped.map(drop)
}

/// From the columns `id, name, role, must_change`.
fn read_user(row: &Row<'_>, at: usize) -> rusqlite::Result<User> {
    let role = Role::of(row.get_ref(at + 2)?.as_str()?);
    Ok(User { id: UserRef(row.get(at)?), name: row.get(at + 1)?, role, must_change: row.get(at + 3)? })
}

/// From the columns `id, name, prefix, created_at, last_used_at, app, deploy_only`. A key whose narrowing cannot be read is none:
/// it must not open more.
fn read_key(row: &Row<'_>, at: usize) -> rusqlite::Result<ApiKey> {
    let app = row.get::<_, Option<String>>(at + 5)?.map(|text| AppKey::parse(&text)).transpose().map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(at + 5, rusqlite::types::Type::Text, Box::new(error))
    })?;
    Ok(ApiKey {
        id: KeyId(row.get(at)?),
        name: row.get(at + 1)?,
        prefix: row.get(at + 2)?,
        created_at: Timestamp(row.get(at + 3)?),
        last_used_at: row.get::<_, Option<i64>>(at + 4)?.map(Timestamp),
        scope: KeyScope { app, deploy_only: row.get(at + 6)? },
    })
}
