//! The folders of previews: other code of an app, and a copy of its data. Below `apps/`, so that they share the disk of what is
//! copied, and beside the apps' own folders, so that none of them is touched, kept in the trash, or backed up.
//!
//! # Guarantees
//! - An app's own folders are only read.
//! - What is there under its name is whole.

#[cfg(feature = "daemon")]
mod disk;

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;

#[cfg(feature = "daemon")]
pub use disk::DiskPreviews;

use crate::folders::FolderError;
use crate::model::preview::{PreviewDirs, PreviewParts};
use crate::model::{AppKey, Bytes, PreviewId, PreviewSource};

/// The seam to `apps/.previews/`. Every method is idempotent.
pub trait Previews: Send + Sync + 'static {
    fn dirs(&self, key: &AppKey, id: &PreviewId) -> PreviewDirs;
    /// What there is of an app's previews.
    fn look(&self, key: &AppKey)
    -> impl Future<Output = Result<BTreeMap<PreviewId, PreviewParts>, FolderError>> + Send;
    /// Apps of which there is anything.
    fn all(&self) -> impl Future<Output = Result<BTreeSet<AppKey>, FolderError>> + Send;
    /// Writes the code that is to be seen, in one atomic step.
    fn put_code(
        &self,
        key: &AppKey,
        id: &PreviewId,
        source: &PreviewSource,
    ) -> impl Future<Output = Result<(), FolderError>> + Send;
    /// Copies the app's data as it is at one moment, in one atomic step, and gives the copy to the app's user.
    ///
    /// # Errors
    /// Terminal when it is more than `most`.
    fn copy_data(
        &self,
        key: &AppKey,
        id: &PreviewId,
        most: Bytes,
    ) -> impl Future<Output = Result<(), FolderError>> + Send;
    /// Removes everything but this preview.
    fn keep(&self, key: &AppKey, kept: Option<&PreviewId>) -> impl Future<Output = Result<(), FolderError>> + Send;
}
