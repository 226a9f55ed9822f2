//! Visitors' links, passwords and passes in the same file.

use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, params};

use super::SqliteStore;
use crate::model::{AppKey, Timestamp};
use crate::store::accounts::{Answer, PasswordHash, Role, SecretHash};
use crate::store::visitors::{Given, GuestLink, Holder, LinkId, Mark, NewLink, NewPass, PassRow, Passes, VisitorStore};

impl VisitorStore for SqliteStore {
    fn links(&self, app: &AppKey) -> Answer<'_, Vec<GuestLink>> {
        let app = app.to_string();
        Box::pin(self.call(move |connection| {
            let mut statement = connection.prepare_cached(&format!("SELECT {LINK} WHERE app = ?1 ORDER BY id"))?;
            statement.query_map([app], read_link)?.collect()
        }))
    }

    fn add_link(&self, new: NewLink) -> Answer<'_, Option<GuestLink>> {
        Box::pin(self.call(move |connection| {
            let app = new.app.to_string();
            let transaction = connection.transaction()?;
            let added = transaction.execute(
                "INSERT INTO guest_links (app, name, token, created_at, expires_at)
                 SELECT ?1, ?2, ?3, ?4, ?5 WHERE (SELECT count(*) FROM guest_links WHERE app = ?1) < ?6",
                params![app, new.name, new.token.0, new.created_at.0, new.expires_at.map(|at| at.0), new.most],
            )?;
            if added == 0 {
                return Ok(None);
            }
            let link = transaction.query_row(&format!("SELECT {LINK} WHERE token = ?1"), [new.token.0], read_link)?;
            transaction.commit()?;
            Ok(Some(link))
        }))
    }

    fn remove_link(&self, app: &AppKey, id: LinkId) -> Answer<'_, bool> {
        let app = app.to_string();
        Box::pin(self.call(move |connection| {
            // Its passes go by their foreign key.
            let removed =
                connection.execute("DELETE FROM guest_links WHERE id = ?1 AND app = ?2", params![id.0, app])?;
            Ok(removed == 1)
        }))
    }

    fn site_password(&self, app: &AppKey) -> Answer<'_, Option<PasswordHash>> {
        let app = app.to_string();
        Box::pin(self.call(move |connection| {
            connection
                .prepare_cached("SELECT password FROM site_passwords WHERE app = ?1")?
                .query_row([app], |row| row.get(0).map(PasswordHash))
                .optional()
        }))
    }

    fn set_site_password(&self, app: &AppKey, password: Option<PasswordHash>, now: Timestamp) -> Answer<'_, ()> {
        let app = app.to_string();
        Box::pin(self.call(move |connection| {
            let transaction = connection.transaction()?;
            match password {
                Some(password) => transaction.execute(
                    "INSERT OR REPLACE INTO site_passwords (app, password, changed_at) VALUES (?1, ?2, ?3)",
                    params![app, password.0, now.0],
                )?,
                None => transaction.execute("DELETE FROM site_passwords WHERE app = ?1", [&app])?,
            };
            transaction.execute("DELETE FROM passes WHERE app = ?1 AND session IS NULL AND link IS NULL", [&app])?;
            transaction.commit()
        }))
    }

    fn add_pass(&self, new: NewPass) -> Answer<'_, bool> {
        Box::pin(self.call(move |connection| {
            let transaction = connection.transaction()?;
            if !add_pass(&transaction, &new)? {
                return Ok(false);
            }
            // The newest of each link or session stay first, so whoever comes again and again crowds out themselves.
            let is_owner = matches!(new.given, Given::Session(_));
            transaction.execute(
                "DELETE FROM passes WHERE id IN (
                     SELECT id FROM (
                         SELECT id, row_number() OVER (PARTITION BY session, link ORDER BY id DESC) AS nth
                         FROM passes WHERE app = ?1 AND (session IS NOT NULL) = ?2)
                     ORDER BY nth, id DESC LIMIT -1 OFFSET ?3)",
                params![new.app.to_string(), is_owner, new.most],
            )?;
            transaction.commit()?;
            Ok(true)
        }))
    }

    fn remove_passes(&self, tokens: Vec<SecretHash>) -> Answer<'_, ()> {
        Box::pin(self.call(move |connection| {
            let transaction = connection.transaction()?;
            for token in tokens {
                transaction.execute("DELETE FROM passes WHERE token = ?1", [token.0])?;
            }
            transaction.commit()
        }))
    }

    fn end_passes(&self, app: &AppKey) -> Answer<'_, usize> {
        let app = app.to_string();
        Box::pin(self.call(move |connection| connection.execute("DELETE FROM passes WHERE app = ?1", [app])))
    }

    fn passes(&self, seen: Option<Mark>) -> Answer<'_, Option<Passes>> {
        Box::pin(self.call(move |connection| {
            let transaction = connection.transaction()?;
            // Of the same moment as the rows.
            let mark = mark(&transaction)?;
            if seen == Some(mark) {
                return Ok(None);
            }
            let passes = read_passes(&transaction, mark)?;
            Ok(Some(passes))
        }))
    }
}

const LINK: &str = "id, name, created_at, expires_at, uses, last_used_at FROM guest_links";

fn read_link(row: &Row<'_>) -> rusqlite::Result<GuestLink> {
    Ok(GuestLink {
        id: LinkId(row.get(0)?),
        name: row.get(1)?,
        created_at: Timestamp(row.get(2)?),
        expires_at: row.get::<_, Option<i64>>(3)?.map(Timestamp),
        uses: row.get(4)?,
        last_used_at: row.get::<_, Option<i64>>(5)?.map(Timestamp),
    })
}

/// Whether what it is given for is there.
fn add_pass(transaction: &Transaction<'_>, new: &NewPass) -> rusqlite::Result<bool> {
    let (app, token, now) = (new.app.to_string(), new.token.0, new.created_at.0);
    let added = match &new.given {
        Given::Session(session) => transaction.execute(
            "INSERT INTO passes (token, app, session, created_at) SELECT ?1, ?2, id, ?3 FROM sessions WHERE id = ?4",
            params![token, app, now, session.0],
        )?,
        Given::Password(verified) => transaction.execute(
            "INSERT INTO passes (token, app, created_at)
             SELECT ?1, app, ?3 FROM site_passwords WHERE app = ?2 AND password = ?4",
            params![token, app, now, verified.0],
        )?,
        Given::Link(link) => {
            let used: Option<i64> = transaction
                .query_row(
                    "UPDATE guest_links SET uses = uses + 1, last_used_at = ?3
                     WHERE token = ?1 AND app = ?2 AND (expires_at IS NULL OR expires_at > ?3) RETURNING id",
                    params![link.0, app, now],
                    |row| row.get(0),
                )
                .optional()?;
            let Some(id) = used else { return Ok(false) };
            transaction.execute(
                "INSERT INTO passes (token, app, link, created_at) VALUES (?1, ?2, ?3, ?4)",
                params![token, app, id, now],
            )?
        }
    };
    Ok(added == 1)
}

fn mark(connection: &Connection) -> rusqlite::Result<Mark> {
    let others = connection.pragma_query_value(None, "data_version", |row| row.get(0))?;
    Ok(Mark { others, own: connection.total_changes() })
}

fn read_passes(connection: &Connection, mark: Mark) -> rusqlite::Result<Passes> {
    let mut statement = connection.prepare_cached(
        "SELECT passes.token, passes.app, passes.created_at, users.name, users.role, sessions.created_at,
                guest_links.id, guest_links.expires_at
         FROM passes
         LEFT JOIN sessions ON sessions.id = passes.session
         LEFT JOIN users ON users.id = sessions.user
         LEFT JOIN guest_links ON guest_links.id = passes.link",
    )?;
    let rows = statement.query_map([], read_pass)?.filter_map(Result::transpose).collect::<rusqlite::Result<_>>()?;
    let mut statement = connection.prepare_cached("SELECT app FROM site_passwords")?;
    let apps: Vec<String> = statement.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    let with_password = apps.iter().filter_map(|app| AppKey::parse(app).ok()).collect();
    Ok(Passes { mark, rows, with_password })
}

/// `None`: of what is no app, which can be no pass either.
fn read_pass(row: &Row<'_>) -> rusqlite::Result<Option<PassRow>> {
    let app: String = row.get(1)?;
    let Ok(app) = AppKey::parse(&app) else { return Ok(None) };
    let name: Option<String> = row.get(3)?;
    let link: Option<i64> = row.get(6)?;
    let holder = match (name, link) {
        (Some(name), _) => {
            Holder::Person { name, role: Role::of(&row.get::<_, String>(4)?), since: Timestamp(row.get(5)?) }
        }
        (None, Some(_)) => Holder::Link { expires_at: row.get::<_, Option<i64>>(7)?.map(Timestamp) },
        (None, None) => Holder::Password,
    };
    let (token, created_at) = (SecretHash(row.get(0)?), Timestamp(row.get(2)?));
    Ok(Some(PassRow { token, app, holder, created_at }))
}
