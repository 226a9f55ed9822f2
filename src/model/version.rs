//! Which code an app runs: a version, immutable once taken, or its working copy itself (SPEC §13).

use std::fmt;

use serde::{Deserialize, Serialize};

use super::units::Digest;

/// Length of a [`VersionId`] in hexadecimal digits: 64 bits, so that two versions of one app never share one by chance.
const ID_DIGITS: usize = 16;

/// Names a version of an app's code: 16 lower-case hexadecimal digits. Also the name of its folder below `versions/`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct VersionId(String);

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
    /// What an app mounts whose manifest has this `redeploy`.
    #[must_use]
    pub fn of(versions: Option<&VersionRecord>, redeploy: Option<&str>) -> Self {
        match versions {
            None => Self::Live,
            Some(VersionRecord { version: Some(version), redeploy: taken_for, .. })
                if taken_for.as_deref() == redeploy =>
            {
                Self::Version(version.clone())
            }
            Some(_) => Self::Due,
        }
    }
}

/// What is remembered of an app's versions. An app without it runs its working copy.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct VersionRecord {
    /// The version that was taken last.
    #[serde(default)]
    pub version: Option<VersionId>,
    /// The manifest's `redeploy` that it was taken for: another one asks for another version.
    #[serde(default)]
    pub redeploy: Option<String>,
    /// The version that served when that one was taken: what the app comes back to when that one cannot run.
    #[serde(default)]
    pub previous: Option<VersionId>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_a_folder_name_and_nothing_else() {
        let id = VersionId::of(&Digest::of(b"x"));
        assert_eq!(VersionId::parse(id.as_str()), Some(id));
        for text in ["", "..", "0123456789abcde", "0123456789abcdef0", "0123456789ABCDEF", "0123456789abcde/"] {
            assert_eq!(VersionId::parse(text), None, "{text}");
        }
    }
}
