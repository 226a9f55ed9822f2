//! Backups of what apps have written, and the proof that they can be restored.
//!
//! One file per backup, `backups/{userid}/{appname}/{time}-{why}.tar.zst`: the app's `data/` (databases as they were at one moment,
//! see [`confined`](crate::confined)), its `history.git`, its manifest, checksums of every file, and `backup.json`, which comes last
//! and without which an archive counts for nothing. Beside it lies `{time}.proof.json` once somebody has looked whether it restores.
//!
//! # Guarantees
//! - The app is not stopped, and its data is not changed.
//! - What has its name is whole: it was flushed, read again and compared before.
//! - The newest backup that was proven is never rotated away, nor the newest of all.
//! - What fails is told by the status, and tried again.
//!
//! # Crash
//! What is half-made has a name that begins with a dot; the next backup of that app removes it. What is known about backups is what
//! lies in the folder: there is nothing else that could be lost.

mod due;
mod error;
mod restore;
mod rotate;
mod shelf;
mod take;
mod task;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use error::BackupError;
pub use take::Backups;
pub use task::{BackupHandle, Restoring, Task, Wanted};

use crate::model::Timestamp;

/// What a backup was made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Why {
    Schedule,
    /// A person asked for it.
    Asked,
    /// The data was about to go.
    Purge,
    /// Other data was about to take its place.
    Restore,
}

impl Why {
    const ALL: [Self; 4] = [Self::Schedule, Self::Asked, Self::Purge, Self::Restore];

    fn word(self) -> &'static str {
        match self {
            Self::Schedule => "schedule",
            Self::Asked => "asked",
            Self::Purge => "purge",
            Self::Restore => "restore",
        }
    }
}

/// When a backup was begun, as its name says it: `20261130T030000000Z`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct BackupId(#[schemars(regex(pattern = r"^[0-9]{8}T[0-9]{9}Z$"))] String);

impl BackupId {
    #[must_use]
    pub fn of(at: Timestamp) -> Self {
        Self(at.to_string().chars().filter(char::is_ascii_alphanumeric).collect())
    }

    /// `None`: no moment is written so.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Some(Self(text.to_owned())).filter(|id| id.at().is_some_and(|at| Self::of(at) == *id))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn at(&self) -> Option<Timestamp> {
        let part = |range| self.0.get(range);
        let (date, time) = (self.0.get(..8)?, self.0.get(9..18)?);
        if self.0.len() != 19 || part(8..9) != Some("T") || part(18..19) != Some("Z") {
            return None;
        }
        let text = format!(
            "{}-{}-{}T{}:{}:{}.{}Z",
            date.get(..4)?,
            date.get(4..6)?,
            date.get(6..)?,
            time.get(..2)?,
            time.get(2..4)?,
            time.get(4..6)?,
            time.get(6..)?
        );
        text.parse().ok()
    }
}

impl std::fmt::Display for BackupId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// That somebody has restored it into a folder of its own, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Proof {
    pub at: Timestamp,
    pub files: u64,
    pub bytes: u64,
    /// Databases that were opened and checked.
    pub databases: u64,
    /// Why it cannot be restored; none where it can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// One backup that is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Backup {
    pub id: BackupId,
    pub at: Timestamp,
    pub why: Why,
    /// Of the file.
    pub bytes: u64,
    /// None: nobody has restored it yet to see whether it can be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<Proof>,
}

impl Backup {
    /// It was restored, and everything was right.
    #[must_use]
    pub fn is_proven(&self) -> bool {
        self.proof.as_ref().is_some_and(|proof| proof.problem.is_none())
    }

    /// It was restored, and something was wrong.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.proof.as_ref().is_some_and(|proof| proof.problem.is_some())
    }
}

/// What `backup.json` in an archive says.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Note {
    /// Of this form.
    version: u32,
    /// Of minipaas.
    minipaas: String,
    app: crate::model::AppKey,
    at: Timestamp,
    why: Why,
    data: crate::confined::Report,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    history: Option<crate::confined::Report>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_moment_and_nothing_else() {
        let at: Timestamp = "2026-11-30T03:00:00.123Z".parse().unwrap();
        let id = BackupId::of(at);
        assert_eq!((id.as_str(), id.at()), ("20261130T030000123Z", Some(at)));
        assert_eq!(BackupId::parse("20261130T030000123Z"), Some(id));
        for wrong in [
            "",
            "20261130T030000Z",
            "20261330T030000123Z",
            "20261130T0300001234",
            "../../etc/passwd12",
            "2026-1-30T030000123Z",
            "20261130T030060123Z",
        ] {
            assert_eq!(BackupId::parse(wrong), None, "{wrong}");
        }
    }
}
