//! What the child is asked to do, and what it answers.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How far one job may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bounds {
    /// Most bytes of files, by their length: a sparse file counts as what whoever reads it would get.
    pub bytes: u64,
    /// Most files and folders.
    pub entries: u64,
    /// It is ended after that.
    pub time: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { bytes: 64 << 30, entries: 250_000, time: Duration::from_secs(3_600) }
    }
}

/// Which part of an app an archive holds; both are folders in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Part {
    Data,
    History,
}

impl Part {
    pub(super) const ALL: [Self; 2] = [Self::Data, Self::History];

    pub(super) fn folder(self) -> &'static str {
        match self {
            Self::Data => "data",
            Self::History => "history.git",
        }
    }

    /// Names of the checksums of what is in the folder, as `sha256sum -c` reads them.
    pub(super) fn sums(self) -> &'static str {
        match self {
            Self::Data => "data.sha256",
            Self::History => "history.git.sha256",
        }
    }
}

/// The descriptors come beside it, in the order that each says.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Job {
    /// From a folder into another.
    Copy { bounds: Bounds },
    /// From a folder, with a scratch folder, into a file.
    Archive { part: Part, bounds: Bounds },
    /// A file.
    Check { bounds: Bounds },
    /// A file, into a folder.
    Unpack { bounds: Bounds },
}

impl Job {
    pub(super) fn bounds(&self) -> Bounds {
        match self {
            Self::Copy { bounds } | Self::Archive { bounds, .. } | Self::Check { bounds } | Self::Unpack { bounds } => {
                *bounds
            }
        }
    }
}

/// What was not taken, because nobody could use it elsewhere.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LeftOut {
    pub links: u64,
    /// FIFOs, sockets, devices.
    pub special: u64,
    /// The first of them.
    pub names: Vec<String>,
}

/// What was done.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Report {
    pub files: u64,
    pub folders: u64,
    pub bytes: u64,
    pub databases: u64,
    pub left_out: LeftOut,
    /// Files (the first of them) that got shorter while they were read.
    pub changed: Vec<String>,
    /// Databases whose check needs something that only the app has (a collation of its own, say): copied, not checked.
    pub unchecked: Vec<String>,
    /// Of an archive: what its `backup.json` and `manifest.yaml` say.
    pub note: Option<String>,
    pub manifest: Option<String>,
    /// Whether the kernel kept the child away from all other files.
    pub fenced: bool,
}

/// How many names a report has at most.
pub(super) const MOST_NAMES: usize = 10;

impl Report {
    pub(super) fn name(names: &mut Vec<String>, path: &std::path::Path) {
        if names.len() < MOST_NAMES {
            names.push(crate::model::Shown::path(path).to_string());
        }
    }
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Answer {
    Done(Report),
    /// The thing, the problem, the remedy.
    Refused(String),
}
