//! One reading of the manifests and templates folders, as a value.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::model::status::FileProblem;
use crate::model::{AppKey, Digest, InstanceId, Manifest, Template, TemplateId, Timestamp};

/// What is wrong with a file, and where. `message` names the thing and the problem, `help` the remedy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnostic {
    /// File name without its folder.
    pub file: String,
    /// 1-based; 0 when the whole file is meant.
    pub line: u32,
    /// 1-based, in characters; 0 when the whole line or file is meant.
    pub column: u32,
    pub message: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}

impl fmt::Display for Diagnostic {
    /// `alice-diary.yaml:3:1: unknown key `memmory` (did you mean `memory`?)`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
            if self.column > 0 {
                write!(f, ":{}", self.column)?;
            }
        }
        write!(f, ": {}", self.message)?;
        match &self.help {
            Some(help) => write!(f, " ({help})"),
            None => Ok(()),
        }
    }
}

/// One manifest file.
#[derive(Debug, Clone, PartialEq)]
pub struct FileEntry {
    pub path: PathBuf,
    /// Of the file's bytes.
    pub digest: Digest,
    pub modified: Timestamp,
    pub parsed: Result<Manifest, Diagnostic>,
    /// Who wrote exactly these bytes, where that was one of our programs and the file system keeps it.
    pub signed: Option<String>,
}

/// Whether the folder was read entirely.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Completeness {
    /// Every entry was read and the `.minipaas` marker of this installation is there.
    Complete { instance: InstanceId },
    /// Something is missing or unreadable: what is absent may only be out of sight.
    Partial { reason: String },
}

/// One reading of both folders.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    pub files: BTreeMap<AppKey, FileEntry>,
    /// Usable templates, and for the others why not.
    pub templates: BTreeMap<TemplateId, Result<Template, String>>,
    pub completeness: Completeness,
    /// Files that name no app.
    pub problems: Vec<FileProblem>,
}

/// Proof that a folder was read entirely and carries this installation's marker. Whoever concludes from a file's
/// absence that an app is to be removed must hold one: an unmounted disk is not an empty desired state.
#[derive(Debug, Clone, Copy)]
pub struct CompleteSnapshot<'a> {
    snapshot: &'a Snapshot,
}

impl Snapshot {
    /// Nothing read yet.
    #[must_use]
    pub fn unread() -> Self {
        Self {
            files: BTreeMap::new(),
            templates: BTreeMap::new(),
            completeness: Completeness::Partial { reason: "the manifests folder was not read yet".to_owned() },
            problems: Vec::new(),
        }
    }

    /// `Some` only for a complete reading under the marker of this very installation.
    #[must_use]
    pub fn complete(&self, instance: &InstanceId) -> Option<CompleteSnapshot<'_>> {
        match &self.completeness {
            Completeness::Complete { instance: marked } if marked == instance => {
                Some(CompleteSnapshot { snapshot: self })
            }
            Completeness::Complete { .. } | Completeness::Partial { .. } => None,
        }
    }
}

impl CompleteSnapshot<'_> {
    /// The file is certainly gone.
    #[must_use]
    pub fn lacks(&self, key: &AppKey) -> bool {
        !self.snapshot.files.contains_key(key)
    }
}

/// The seam to the manifests and templates folders.
pub trait Manifests: Send + Sync + 'static {
    /// Reads both folders. Never fails: what could not be read makes the snapshot [`Completeness::Partial`].
    fn load(&self) -> impl Future<Output = Snapshot> + Send;
}
