//! What somebody has changed of a site and not published: a draft for each person and app, kept on the server.
//!
//! # Guarantees
//! - A draft that was acknowledged is there after a crash, a power loss or a full disk; what could not be kept leaves the one before.
//! - It is bounded: see the constants here.
//! - It changes nothing of the app until it is published, and goes where the app's code goes.
//!
//! # Assumptions
//! - One [`Drafts`] per daemon: it lets one write at a time.

mod told;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::sync::Mutex;

use crate::clock::Clock;
pub use crate::folders::DraftOf;
use crate::folders::{DiskFolders, FolderError};
use crate::model::content::MAX_CONTENT;
use crate::model::picture::{NoPicture, PictureKind};
use crate::model::{AppKey, Digest, Timestamp, VersionId};
pub use told::{Conflict, Held, Publishable, ready};

/// Most bytes of the texts of a draft, as JSON.
pub const MAX_DRAFT: usize = 1 << 20;
/// Most files that a draft changes, pictures included: a version takes 100 at a time.
pub const MAX_FILES: usize = 90;
/// Most bytes of a picture. The studio sends a hundredth of what a camera makes.
pub const MAX_PICTURE: usize = 4 << 20;
/// Most bytes of all pictures of a draft.
pub const MAX_PICTURES: u64 = 64 << 20;
/// Most bytes of a file's name.
const MAX_PATH: usize = 200;

/// What somebody has changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Draft {
    /// The version that was changed.
    pub base: VersionId,
    /// Counts up with each change.
    pub revision: u64,
    /// When it was changed last.
    pub at: Timestamp,
    /// What is filled in, all of it; none: as it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<Map<String, Value>>,
    /// Files that are changed by hand.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<DraftFile>,
    /// Pictures by where they will be, as `public/photos/sea.webp`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub uploads: BTreeMap<String, Upload>,
}

/// What becomes of one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DraftFile {
    pub path: String,
    /// What it holds from now on; `null` removes it.
    pub content: Option<String>,
}

/// A picture that was sent along.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Upload {
    pub digest: Digest,
    pub bytes: u64,
}

/// A draft as its owner sends it.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewDraft {
    /// The version that was changed.
    pub base: VersionId,
    /// That of the draft which this one replaces; 0: there was none.
    pub revision: u64,
    /// What is filled in, all of it.
    #[serde(default)]
    pub content: Option<Map<String, Value>>,
    /// Files that are changed by hand.
    #[serde(default)]
    pub files: Vec<DraftFile>,
}

/// Why a draft was not kept. The one before is still there.
#[derive(Debug, thiserror::Error)]
pub enum DraftError {
    /// Somebody with the same account has changed it meanwhile, in another window say.
    #[error("the draft is at revision {0} by now")]
    Changed(u64),
    #[error("the app has no code")]
    NoCode,
    #[error("a draft has at most {MAX_FILES} files, 256 KiB of content, 1 MiB of text and 64 MiB of pictures")]
    Full,
    #[error("a picture has at most 4 MiB")]
    PictureTooLarge,
    #[error("not a picture that is taken: {0:?}")]
    NoPicture(NoPicture),
    #[error("no name of a picture of a site")]
    BadPath,
    #[error(transparent)]
    Folder(#[from] FolderError),
}

/// All drafts of all apps.
pub struct Drafts {
    folders: DiskFolders,
    clock: Arc<dyn Clock>,
    /// A draft is read, changed and written by one at a time.
    turn: Mutex<()>,
}

impl fmt::Debug for Drafts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Drafts").finish_non_exhaustive()
    }
}

impl Drafts {
    #[must_use]
    pub fn new(folders: DiskFolders, clock: Arc<dyn Clock>) -> Self {
        Self { folders, clock, turn: Mutex::new(()) }
    }

    /// Somebody's draft of an app. One that cannot be understood counts as none, and is told in the log.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn find(&self, key: &AppKey, whose: DraftOf) -> Result<Option<Draft>, DraftError> {
        let Some(text) = self.folders.draft(key, whose).await? else { return Ok(None) };
        match serde_json::from_slice(&text) {
            Ok(draft) => Ok(Some(draft)),
            Err(error) => {
                tracing::warn!(app = %key, whose = whose.0, %error, "a draft cannot be read; it stays until another one is written");
                Ok(None)
            }
        }
    }

    /// Keeps what is filled in and what files hold. Pictures stay as they are.
    ///
    /// # Errors
    /// When the draft is another one by now, too large, or cannot be written.
    pub async fn save(&self, key: &AppKey, whose: DraftOf, new: NewDraft) -> Result<Draft, DraftError> {
        let NewDraft { base, revision, content, files } = new;
        let content_size = content.as_ref().map_or(0, |content| Value::from(content.clone()).to_string().len());
        if content_size as u64 > MAX_CONTENT {
            return Err(DraftError::Full);
        }
        let _turn = self.turn.lock().await;
        let old = self.find(key, whose).await?;
        let now = old.as_ref().map_or(0, |old| old.revision);
        if now != revision {
            return Err(DraftError::Changed(now));
        }
        let uploads = old.map(|old| old.uploads).unwrap_or_default();
        self.write(key, whose, Draft { base, revision: now + 1, at: self.clock.now(), content, files, uploads }).await
    }

    /// Keeps a picture that the draft may name from now on.
    ///
    /// # Errors
    /// When it is none, too large, or cannot be written; the draft is as it was then.
    pub async fn upload(
        &self,
        key: &AppKey,
        whose: DraftOf,
        (base, path): (&VersionId, &str),
        bytes: Vec<u8>,
    ) -> Result<Draft, DraftError> {
        if bytes.len() > MAX_PICTURE {
            return Err(DraftError::PictureTooLarge);
        }
        if !is_place_of_a_picture(path) {
            return Err(DraftError::BadPath);
        }
        PictureKind::named(path, &bytes).map_err(DraftError::NoPicture)?;
        let _turn = self.turn.lock().await;
        let mut draft = self.find(key, whose).await?.unwrap_or_else(|| Draft {
            base: base.clone(),
            revision: 0,
            at: Timestamp(0),
            content: None,
            files: Vec::new(),
            uploads: BTreeMap::new(),
        });
        let size = bytes.len() as u64;
        let others: u64 = draft.uploads.iter().filter(|(name, _)| *name != path).map(|(_, upload)| upload.bytes).sum();
        let is_new = !draft.uploads.contains_key(path);
        if others + size > MAX_PICTURES || draft.files.len() + draft.uploads.len() + usize::from(is_new) > MAX_FILES {
            return Err(DraftError::Full);
        }
        let digest = self.folders.put_upload(key, whose, bytes).await?.ok_or(DraftError::NoCode)?;
        draft.uploads.insert(path.to_owned(), Upload { digest, bytes: size });
        draft.revision += 1;
        draft.at = self.clock.now();
        self.write(key, whose, draft).await
    }

    /// A picture of the draft.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn picture(&self, key: &AppKey, whose: DraftOf, path: &str) -> Result<Option<Vec<u8>>, DraftError> {
        let draft = self.find(key, whose).await?;
        match draft.as_ref().and_then(|draft| draft.uploads.get(path)) {
            Some(upload) => Ok(self.folders.upload(key, whose, &upload.digest).await?),
            None => Ok(None),
        }
    }

    /// Forgets a draft: it was published, or is not wanted. With a `revision`, only that one.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub async fn discard(&self, key: &AppKey, whose: DraftOf, revision: Option<u64>) -> Result<(), DraftError> {
        let _turn = self.turn.lock().await;
        if let Some(revision) = revision
            && self.find(key, whose).await?.is_none_or(|draft| draft.revision != revision)
        {
            return Ok(());
        }
        Ok(self.folders.remove_draft(key, whose).await?)
    }

    /// Who has a draft of an app, and since when it is as it is.
    ///
    /// # Errors
    /// When it cannot be told.
    pub async fn all(&self, key: &AppKey) -> Result<Vec<(DraftOf, Timestamp)>, DraftError> {
        let mut found = Vec::new();
        for whose in self.folders.drafts(key).await? {
            found.extend(self.find(key, whose).await?.map(|draft| (whose, draft.at)));
        }
        Ok(found)
    }

    async fn write(&self, key: &AppKey, whose: DraftOf, draft: Draft) -> Result<Draft, DraftError> {
        let text = serde_json::to_vec(&draft).map_err(|error| FolderError::Terminal(error.to_string()))?;
        if text.len() > MAX_DRAFT || draft.files.len() + draft.uploads.len() > MAX_FILES {
            return Err(DraftError::Full);
        }
        let kept: BTreeSet<_> = draft.uploads.values().map(|upload| upload.digest.clone()).collect();
        if self.folders.write_draft(key, whose, text, kept).await? { Ok(draft) } else { Err(DraftError::NoCode) }
    }
}

/// A plain path below `public/`, as a picture of a content has it.
fn is_place_of_a_picture(path: &str) -> bool {
    path.strip_prefix("public/").is_some_and(|path| {
        !path.is_empty()
            && path.len() <= MAX_PATH
            && path.split('/').all(|part| !part.is_empty() && !part.starts_with('.'))
            && !path.chars().any(|c| c.is_control() || matches!(c, '\\' | '?' | '#' | '%'))
    })
}
