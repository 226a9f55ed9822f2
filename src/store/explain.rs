//! What a failure of SQLite means to the operator.

use std::path::Path;

use rusqlite::{Error, ErrorCode};

use super::StoreError;
use crate::model::Shown;

/// Whether the whole file is of no use any more.
pub(super) fn is_damage(error: &Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
}

pub(super) fn explain(error: &Error, path: &Path) -> StoreError {
    let path = Shown::path(path);
    StoreError(match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => format!(
            "the database {path} is damaged ({error}): stop the daemon, move the file and its -wal and -shm away (keep them) and start again; the inventory is rebuilt from the manifests, the event log, users, sessions and API keys are lost unless you put back a backup"
        ),
        Some(ErrorCode::DiskFull) => format!("cannot write the database {path}: the disk is full; free some space"),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            format!("the database {path} is in use by another program; end that one (an open `sqlite3`, a backup)")
        }
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen) => format!(
            "cannot write the database {path}: {error}; let the daemon's user write the file and its folder, on a writable disk"
        ),
        Some(ErrorCode::SystemIoFailure) => {
            format!("cannot read or write the database {path}: {error}; check the disk")
        }
        _ => format!("the database {path} refused a request: {error}; please report it"),
    })
}
