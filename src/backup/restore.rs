//! Putting an app's data back from a backup: everything but the exchange itself, which is the controller's.
//!
//! The archive is judged as a whole and unpacked beside the app's data, each database in it is checked, and what is there by then is
//! backed up. Only then does the data wait for the app to stop (`folders/swap.rs`).
//!
//! # Crash
//! Before that nothing is wanted, and what was unpacked is removed by the next one. Afterwards the reconciler ends what was begun.

use super::take::MOST_KEPT;
use super::{BackupError, BackupId, Backups, Why};
use crate::confined::ConfinedError;
use crate::folders::restore_of;
use crate::model::{AppKey, Restore};

impl Backups {
    /// Lets what a backup holds wait to take the place of the app's data.
    ///
    /// # Errors
    /// When it cannot be unpacked: the app is as it was then.
    pub async fn restore(&self, key: &AppKey, id: &BackupId) -> Result<Restore, BackupError> {
        let folders = &self.inner.folders;
        let unpacked = self.unpack_beside(key, id).await;
        let saved = match unpacked {
            Ok(()) => self.save_first(key).await,
            Err(error) => Err(error),
        };
        if let Err(error) = saved {
            let _ = folders.drop_restore(key).await;
            return Err(error);
        }
        let restore = restore_of(key, self.inner.clock.now(), id.at());
        folders.commit_restore(key, restore.clone()).await?;
        Ok(restore)
    }

    /// Lets what the last restore has put aside wait to come back.
    ///
    /// # Errors
    /// When it is not in the trash any more.
    pub async fn undo_restore(&self, key: &AppKey, entry: &str) -> Result<Restore, BackupError> {
        let restore = restore_of(key, self.inner.clock.now(), None);
        self.inner.folders.restore_from_trash(key, entry, restore.clone()).await?;
        Ok(restore)
    }

    /// Removes what a crash has left of a restore that nobody wants any more.
    ///
    /// # Errors
    /// When it cannot be removed; the next restore of the app tries again.
    pub async fn forget_half_made(&self, key: &AppKey) -> Result<(), BackupError> {
        Ok(self.inner.folders.drop_restore(key).await?)
    }

    /// Whether what a restore has put aside is there still.
    ///
    /// # Errors
    /// When the trash cannot be read.
    pub async fn is_in_trash(&self, entry: &str) -> Result<bool, BackupError> {
        Ok(self.inner.folders.trashed().await?.iter().any(|trashed| trashed.entry == entry))
    }

    async fn unpack_beside(&self, key: &AppKey, id: &BackupId) -> Result<(), BackupError> {
        let _turn = self.inner.turn.lock().await;
        let file = self.file(key, id).await?;
        let bounds = self.bounds().await?;
        let data = self.inner.folders.begin_restore(key).await?;
        let unpacked = self.inner.confined.unpack(&file, &data, bounds).await;
        let proof = self.note(key, id, unpacked).await?;
        match proof.problem {
            Some(problem) => Err(ConfinedError::Refused(problem).into()),
            None => Ok(()),
        }
    }

    /// What is there goes to the trash as it is, so data that cannot be backed up hinders nobody from putting a backup of it back.
    async fn save_first(&self, key: &AppKey) -> Result<(), BackupError> {
        match self.take(key, Why::Restore, MOST_KEPT).await {
            Ok(_) | Err(BackupError::NoData(_)) => Ok(()),
            Err(BackupError::Confined(error)) => {
                tracing::warn!(app = %key, %error, "its data goes to the trash without a backup");
                Ok(())
            }
            Err(error) => Err(error),
        }
    }
}
