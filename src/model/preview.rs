//! A look at code that is not what the site's visitors see (SPEC §13): another version, in a container of its own, on a copy of
//! the data.

use std::fmt;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::labels::{self, InstanceId};
use super::names::AppKey;
use super::observed::ContainerId;
use super::spec::{Access, AppSpec, ContainerSpec, Mount};
use super::status::Endpoint;
use super::units::{Bytes, Digest, RestartPolicy, Seconds, Timestamp};
use super::version::VersionId;
use super::visitors::Visitors;

/// So long after the last request a preview ends.
pub const PREVIEW_IDLE_MS: i64 = 15 * 60 * 1000;

/// Most that is copied of an app's data: a copy has to be there while somebody waits for it, and its disk is the app's owner's
/// only for a quarter of an hour.
pub const PREVIEW_DATA: Bytes = Bytes(Bytes::GIB);

const ID_DIGITS: usize = 16;

/// Names one preview of an app: the next one has its own container and its own folders.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct PreviewId(String);

impl TryFrom<String> for PreviewId {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text).ok_or_else(|| "no preview has such a name".to_owned())
    }
}

impl PreviewId {
    /// `None` unless the text is 16 lower-case hexadecimal digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        VersionId::parse(text).map(|id| Self(id.as_str().to_owned()))
    }

    /// Of the app, what is shown, and when somebody asked for it.
    #[must_use]
    pub fn of(key: &AppKey, source: &PreviewSource, at: Timestamp) -> Self {
        let digest = Digest::of(format!("{key} {source} {}", at.0).as_bytes());
        Self(digest.as_str()[..ID_DIGITS].to_owned())
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PreviewId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a preview shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum PreviewSource {
    /// Of the app's history.
    Version(VersionId),
}

impl PreviewSource {
    #[must_use]
    pub fn version(&self) -> &VersionId {
        match self {
            Self::Version(version) => version,
        }
    }
}

impl fmt::Display for PreviewSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version(version) => write!(f, "version {version}"),
        }
    }
}

/// A preview that somebody asked for. Written before anything of it is made, dropped after the last of it is gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreviewRecord {
    pub key: AppKey,
    pub id: PreviewId,
    pub source: PreviewSource,
    pub since: Timestamp,
    /// It ends then, unless somebody uses it until then.
    pub until: Timestamp,
    /// Somebody has ended it.
    #[serde(default)]
    pub stopped: bool,
}

/// Its folders, as Docker needs them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreviewDirs {
    pub code: PathBuf,
    /// The copy.
    pub data: PathBuf,
}

/// What is there of one preview's folders. A part that is there is whole.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PreviewParts {
    pub code: bool,
    pub data: bool,
}

/// A preview with everything filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreviewSpec {
    pub container: ContainerSpec,
    pub health_path: Option<String>,
    pub start_timeout: Seconds,
    /// Most that its data may be.
    pub data: Bytes,
}

impl PreviewSpec {
    /// The app's own container with other code, on a copy of the data, at another name. Its limits are the app's. What ends by
    /// itself stays down: whoever looks at it wants to see that.
    #[must_use]
    pub fn of(spec: &AppSpec, record: &PreviewRecord, host: &str, dirs: PreviewDirs, instance: &InstanceId) -> Self {
        let data = if planted!(PreviewOnRealData) { spec.data_dir.clone() } else { dirs.data };
        let app = spec.container(spec.key.preview_container_name(), instance);
        let container = ContainerSpec {
            labels: labels::for_preview(&spec.key, host, instance, record),
            mounts: vec![
                Mount { source: dirs.code, target: "/app".to_owned(), access: Access::ReadOnly },
                Mount { source: data, target: "/data".to_owned(), access: Access::ReadWrite },
            ],
            restart: RestartPolicy::No,
            ..app
        };
        Self {
            container,
            health_path: spec.template.health_path.clone(),
            start_timeout: spec.start_timeout,
            data: PREVIEW_DATA.min(spec.disk),
        }
    }
}

/// How far a preview is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum PreviewState {
    /// Its code and the copy of the data are being made.
    Preparing,
    /// Its container runs and has not answered yet.
    Starting,
    Ready,
    /// It cannot be shown.
    Failed,
    /// It is being taken away.
    Ending,
}

/// A preview, as the daemon last saw it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PreviewStatus {
    pub app: AppKey,
    pub source: PreviewSource,
    pub state: PreviewState,
    /// Host name it answers at.
    pub host: String,
    pub since: Timestamp,
    /// It ends then, unless somebody uses it until then.
    pub until: Timestamp,
    /// Why it cannot be shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The last lines that its container wrote, oldest first, if it has ended.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub log: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<ContainerId>,
    /// Set exactly while requests can be sent there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<Endpoint>,
    /// The app's owner, whoever may see the app.
    #[serde(default = "owner_only")]
    pub visitors: Visitors,
}

fn owner_only() -> Visitors {
    Visitors::OWNER
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let key = AppKey::parse("alice-diary").unwrap();
        let source = PreviewSource::Version(VersionId::parse("0123456789abcdef").unwrap());
        let id = PreviewId::of(&key, &source, Timestamp(5));
        assert_ne!(id, PreviewId::of(&key, &source, Timestamp(6)), "each has its own");
        let record = PreviewRecord { key, id, source, since: Timestamp(5), until: Timestamp(7), stopped: false };
        let json = serde_json::to_string(&record).unwrap();
        assert!(json.contains(r#""source":{"version":"0123456789abcdef"}"#), "{json}");
        assert_eq!(serde_json::from_str::<PreviewRecord>(&json).unwrap(), record);
    }
}
