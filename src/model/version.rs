//! Which code an app runs: a version, immutable once taken, or its working copy itself (SPEC §13).

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::shown::Shown;
use super::units::Digest;

/// Length of a [`VersionId`] in hexadecimal digits: 64 bits, so that two versions of one app never share one by chance.
const ID_DIGITS: usize = 16;

/// Names a version of an app's code: 16 lower-case hexadecimal digits. Also the name of its folder below `versions/`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct VersionId(String);

impl TryFrom<String> for VersionId {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let shown = Shown::new(&text);
        Self::parse(&text).ok_or_else(|| {
            format!(
                "`{shown}` is no version: write one that `paas versions APP` lists, 16 hexadecimal digits in lower case"
            )
        })
    }
}

impl JsonSchema for VersionId {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "VersionId".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "pattern": "^[0-9a-f]{16}$", "examples": ["3f2a91c04be7d815"]})
    }
}

impl VersionId {
    /// `None` unless the text is 16 lower-case hexadecimal digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digit = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        (text.len() == ID_DIGITS && text.bytes().all(digit)).then(|| Self(text.to_owned()))
    }

    /// Of everything that the version is made of. The same content always has the same id, so a version that is taken again
    /// after a crash is the one that is there.
    #[must_use]
    pub fn of(content: &Digest) -> Self {
        Self(content.as_str()[..ID_DIGITS].to_owned())
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for VersionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What is mounted on `/app`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Code {
    /// The working copy `app/` itself: an edit shows at once, and what runs can change underneath.
    #[default]
    Live,
    /// A checkout of this version.
    Version(VersionId),
    /// A version of the working copy as it is now, which has yet to be taken. No container is made before.
    Due,
}

impl Code {
    /// What an app mounts whose manifest has this `version` and this `redeploy`.
    #[must_use]
    pub fn of(versions: Option<&VersionRecord>, wanted: Option<&VersionId>, redeploy: Option<&str>) -> Self {
        let redeploy = deployed(redeploy);
        match versions {
            None => Self::Live,
            Some(_) if wanted.is_some() => wanted.cloned().map_or(Self::Due, Self::Version),
            Some(VersionRecord { version: Some(version), redeploy: taken_for, .. })
                if taken_for.as_deref() == redeploy =>
            {
                Self::Version(version.clone())
            }
            Some(_) => Self::Due,
        }
    }
}

/// Between a `redeploy` and the time of a restart.
const RESTARTED: &str = " restarted ";

/// Longest mark of a restart, with room for any time that can be written (RFC 3339 with nanoseconds and an offset).
pub const MAX_MARK_CHARS: usize = RESTARTED.len() + 40;

/// What of a `redeploy` asks for a version: all of it but the mark of a restart.
#[must_use]
pub fn deployed(redeploy: Option<&str>) -> Option<&str> {
    let redeploy = redeploy?;
    // A person may use the word as well.
    let mark = redeploy.rsplit_once(RESTARTED).filter(|(_, at)| at.parse::<jiff::Timestamp>().is_ok());
    let deployed = mark.map_or(redeploy, |(deployed, _)| deployed);
    (!deployed.is_empty()).then_some(deployed)
}

/// The `redeploy` that asks for a new container of the version that runs.
#[must_use]
pub fn restarted(redeploy: Option<&str>, at: &str) -> String {
    format!("{}{RESTARTED}{at}", deployed(redeploy).unwrap_or_default())
}

/// What is remembered of an app's versions. An app without it runs its working copy.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct VersionRecord {
    /// The version that was taken last.
    #[serde(default)]
    pub version: Option<VersionId>,
    /// What of the manifest's `redeploy` it was taken for ([`deployed`]): another one asks for another version.
    #[serde(default)]
    pub redeploy: Option<String>,
    /// The version that served when that one was taken: what the app comes back to when that one cannot run.
    #[serde(default)]
    pub previous: Option<VersionId>,
    /// The version that `app/` was last made from, or to. `None`: nobody knows, because it was before this was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub working: Option<VersionId>,
    /// What `app/` held when it was decided that another version runs, until `app/` follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub saved: Option<SavedEdits>,
}

/// The working copy, kept as a version before another one takes its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedEdits {
    /// The version that is to take its place.
    pub before: VersionId,
    /// As which it was kept.
    pub version: VersionId,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restart_asks_for_no_other_version_and_a_deploy_does() {
        let taken_for = |redeploy: Option<&str>| VersionRecord {
            version: VersionId::parse("0123456789abcdef"),
            redeploy: deployed(redeploy).map(str::to_owned),
            ..VersionRecord::default()
        };
        for before in [None, Some("one"), Some("one restarted 2026-11-30T12:00:00Z")] {
            let versions = taken_for(before);
            let (again, anew) = (restarted(before, "2026-11-30T13:00:00Z"), "13:00");
            assert!(matches!(Code::of(Some(&versions), None, before), Code::Version(_)), "{before:?}");
            assert!(matches!(Code::of(Some(&versions), None, Some(&again)), Code::Version(_)), "{before:?} {again}");
            assert_eq!(Code::of(Some(&versions), None, Some(anew)), Code::Due, "{before:?}");
        }
        assert_eq!(restarted(Some("one restarted 2026-11-30T12:00:00Z"), "three"), "one restarted three");
        let marked = restarted(None, &jiff::Timestamp::MAX.to_string());
        assert!(marked.chars().count() <= MAX_MARK_CHARS, "{marked}");
    }

    #[test]
    fn an_id_is_a_folder_name_and_nothing_else() {
        let id = VersionId::of(&Digest::of(b"x"));
        assert_eq!(VersionId::parse(id.as_str()), Some(id));
        for text in ["", "..", "0123456789abcde", "0123456789abcdef0", "0123456789ABCDEF", "0123456789abcde/"] {
            assert_eq!(VersionId::parse(text), None, "{text}");
        }
    }
}
