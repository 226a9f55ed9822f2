//! The schema's versions, and the way from each to the newest.

use rusqlite::{Connection, TransactionBehavior};

/// Marks a database as ours (`PRAGMA application_id`): "mini" in ASCII.
const APPLICATION_ID: i32 = 0x6d69_6e69;

/// One script per version, in order: the first makes version 1 of an empty database.
const MIGRATIONS: [&str; 5] = [
    include_str!("migrations/v1.sql"),
    include_str!("migrations/v2.sql"),
    include_str!("migrations/v3.sql"),
    include_str!("migrations/v4.sql"),
    include_str!("migrations/v5.sql"),
];

/// The version this program reads and writes.
pub(super) const VERSION: usize = MIGRATIONS.len();

/// Why a database cannot be brought to [`VERSION`].
#[derive(Debug)]
pub(super) enum SchemaError {
    /// Made by a later version of minipaas.
    Newer {
        found: i64,
    },
    /// Somebody else's.
    Foreign,
    /// Its file mode cannot be changed.
    Mode(std::io::Error),
    Sqlite(rusqlite::Error),
}

impl From<rusqlite::Error> for SchemaError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

/// The database's version, 0 for an empty one. Changes nothing.
pub(super) fn version(connection: &Connection) -> Result<usize, SchemaError> {
    let found: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let application: i32 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    let empty = tables == 0 && found == 0 && application == 0;
    if application != APPLICATION_ID && !empty {
        return Err(SchemaError::Foreign);
    }
    usize::try_from(found).ok().filter(|version| *version <= VERSION).ok_or(SchemaError::Newer { found })
}

/// Brings the database from `version` to [`VERSION`].
///
/// # Crash
/// Each step is one transaction that also writes the version it leads to, so it happened entirely or not at all. Another
/// process may be doing the same: whoever comes second finds it done.
pub(super) fn migrate(connection: &mut Connection, version: usize) -> Result<(), rusqlite::Error> {
    for (script, to) in MIGRATIONS.iter().zip(1_i64..).skip(version) {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let found: i64 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
        if found >= to {
            continue;
        }
        transaction.execute_batch(script)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", to)?;
        transaction.commit()?;
    }
    Ok(())
}
