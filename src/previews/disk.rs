//! Previews on a real disk.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::time::Duration;

use super::Previews;
use crate::confined::{Bounds, Confined, ConfinedError};
use crate::folders::{
    CodeAt, CodeFound, CodeReader, CodeWriter, DataDraft, DiskFolders, FolderError, Piece, ReadFailed,
};
use crate::history::GitHistory;
use crate::model::preview::{PreviewDirs, PreviewParts};
use crate::model::{AppKey, Bytes, PreviewId, PreviewSource};

/// Somebody waits for it.
const COPY: Duration = Duration::from_secs(60);
/// Most files and folders of the data.
const ENTRIES: u64 = 100_000;

/// [`Previews`] below the apps folder. An app's data is read, and its databases are parsed, by another process.
#[derive(Debug, Clone)]
pub struct DiskPreviews {
    folders: DiskFolders,
    history: GitHistory,
    confined: Confined,
}

impl DiskPreviews {
    #[must_use]
    pub fn new(folders: DiskFolders, history: GitHistory, confined: Confined) -> Self {
        Self { folders, history, confined }
    }

    /// Of a version that is checked out.
    async fn put_checkout(&self, key: &AppKey, id: &PreviewId, code: CodeAt) -> Result<(), FolderError> {
        let (folders, key, id) = (self.folders.clone(), key.clone(), id.clone());
        blocking(move || {
            folders.put_preview_code(&key, &id, &mut |writer| {
                let gone =
                    || FolderError::Retryable("the version went meanwhile; it is tried again by itself".to_owned());
                match folders.read_code(&key, &code, &mut Copier { writer }) {
                    Ok(digest) => digest.map(drop).ok_or_else(gone),
                    Err(ReadFailed::Code(error)) => Err(error),
                    Err(ReadFailed::Reader(error)) => Err(FolderError::Retryable(error.to_string())),
                }
            })
        })
        .await
    }
}

impl Previews for DiskPreviews {
    fn dirs(&self, key: &AppKey, id: &PreviewId) -> PreviewDirs {
        self.folders.preview_dirs(key, id)
    }

    async fn look(&self, key: &AppKey) -> Result<BTreeMap<PreviewId, PreviewParts>, FolderError> {
        self.folders.look_at_previews(key).await
    }

    async fn all(&self) -> Result<BTreeSet<AppKey>, FolderError> {
        self.folders.with_previews().await
    }

    async fn put_code(&self, key: &AppKey, id: &PreviewId, source: &PreviewSource) -> Result<(), FolderError> {
        let PreviewSource::Version(version) = source;
        // A version that runs is there without git as well.
        if self.folders.checkouts(key).await?.contains(version) {
            return self.put_checkout(key, id, CodeAt::Version(version.clone())).await;
        }
        let (folders, of, id) = (self.folders.clone(), key.clone(), id.clone());
        self.history.write_out(key, version, move |write| folders.put_preview_code(&of, &id, write)).await
    }

    async fn copy_data(&self, key: &AppKey, id: &PreviewId, most: Bytes) -> Result<(), FolderError> {
        let (folders, of, preview) = (self.folders.clone(), key.clone(), id.clone());
        let draft = blocking(move || folders.draft_preview_data(&of, &preview)).await?;
        let Some(draft) = draft else { return Ok(()) };
        let bounds = Bounds { bytes: most.get(), entries: ENTRIES, time: COPY };
        let copied = self.confined.copy(&draft.from, &draft.into, bounds).await;
        blocking(move || finish(draft, copied.map(drop))).await
    }

    async fn keep(&self, key: &AppKey, kept: Option<&PreviewId>) -> Result<(), FolderError> {
        self.folders.keep_preview(key, kept).await
    }
}

fn finish(draft: DataDraft, copied: Result<(), ConfinedError>) -> Result<(), FolderError> {
    let Err(error) = copied else { return draft.publish() };
    draft.throw_away();
    let text = format!("the data could not be copied for the preview: {error}");
    Err(match error {
        ConfinedError::Start(_) => FolderError::Retryable(text),
        // It would be the same once more.
        ConfinedError::Refused(_) | ConfinedError::TooSlow(_) | ConfinedError::Died { .. } => {
            FolderError::Terminal(text)
        }
    })
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, FolderError> + Send + 'static,
) -> Result<T, FolderError> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| {
        Err(FolderError::Retryable(format!("a preview could not be worked on: {error}; please report it")))
    })
}

/// Writes what is read.
struct Copier<'c, 'w> {
    writer: &'c mut CodeWriter<'w>,
}

impl CodeReader for Copier<'_, '_> {
    fn begin(&mut self, _: &CodeFound) -> io::Result<()> {
        Ok(())
    }

    fn piece(&mut self, piece: Piece<'_>) -> io::Result<()> {
        let written = match piece {
            Piece::File { path, size, program, content } => self.writer.file(path, program, size, content),
            Piece::Link { path, target } => self.writer.link(path, target),
        };
        written.map_err(io::Error::other)
    }
}
