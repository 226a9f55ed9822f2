//! Why a backup could not be made, read or proven.

use crate::confined::ConfinedError;
use crate::folders::FolderError;
use crate::folders::stop::Stop;
use crate::model::{AppKey, Bytes};

use super::BackupId;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BackupError {
    #[error(transparent)]
    Folder(#[from] FolderError),
    #[error(transparent)]
    Confined(#[from] ConfinedError),
    /// Apps need the rest.
    #[error(
        "only {free} of {total} are free on the disk of the backups: free some space, so that apps keep the last 5 %"
    )]
    Disk { free: Bytes, total: Bytes },
    #[error("`{0}` has no data to back up: it is on its way, or was moved to the trash")]
    NoData(AppKey),
    #[error("there is no backup {id} of `{key}`: `paas backup list {key}` lists those that there are")]
    NoSuch { key: AppKey, id: BackupId },
    #[error("`{0}` was not restored since it was made, or what was there before is not in the trash any more")]
    NothingToUndo(AppKey),
    #[error("the daemon is stopping: ask again in a moment")]
    Stopping,
}

impl From<Stop> for BackupError {
    fn from(stop: Stop) -> Self {
        Self::Folder(stop.into())
    }
}
