//! The folders of previews in memory. Operations that are several steps on a disk are the same steps here.

use std::collections::{BTreeMap, BTreeSet};

use super::folders::{Disk, Files, FolderWorld};
use crate::engine::faulty::{CallKind, Life, guard};
use crate::folders::FolderError;
use crate::model::preview::{PreviewDirs, PreviewParts};
use crate::model::{AppKey, Bytes, PreviewId, PreviewSource};
use crate::previews::Previews;

/// What there is of one preview.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PreviewFolder {
    pub code: Option<String>,
    pub data: Option<Files>,
}

impl FolderWorld {
    /// The daemon's access to the previews, in one of its lives.
    #[must_use]
    pub fn previews(&self, life: Life) -> MemPreviews {
        MemPreviews { world: self.clone(), life }
    }

    /// What there is of previews.
    #[must_use]
    pub fn preview_folders(&self) -> BTreeMap<AppKey, BTreeMap<PreviewId, PreviewFolder>> {
        self.lock().previews.clone()
    }

    /// A preview writes something, as its container would: into whatever is mounted there.
    pub fn write_in_preview(&self, key: &AppKey, file: &str, content: &[u8]) {
        let mut disk = self.lock();
        for folder in disk.previews.get_mut(key).into_iter().flat_map(BTreeMap::values_mut) {
            if let Some(data) = &mut folder.data {
                data.insert(file.to_owned(), content.to_owned());
            }
        }
    }
}

/// [`Previews`] over a [`FolderWorld`], with faults.
#[derive(Debug, Clone)]
pub struct MemPreviews {
    world: FolderWorld,
    life: Life,
}

impl MemPreviews {
    async fn call<T>(
        &self,
        point: &'static str,
        key: &str,
        kind: CallKind,
        work: impl FnOnce(&mut Disk) -> Result<T, FolderError>,
    ) -> Result<T, FolderError> {
        let call = async {
            let mut disk = self.world.lock();
            if kind == CallKind::Read { work(&mut disk) } else { disk.writable().and_then(work) }
        };
        let never_asked = |_| Err(FolderError::Retryable(format!("{point}: injected fault")));
        guard(&self.life, point, key.to_owned(), kind, call, never_asked).await
    }
}

impl Previews for MemPreviews {
    fn dirs(&self, key: &AppKey, id: &PreviewId) -> PreviewDirs {
        let disk = self.world.lock();
        let path = disk.root().join("apps/.previews").join(key.to_string()).join(id.as_str());
        PreviewDirs { code: path.join("code"), data: path.join("data") }
    }

    async fn look(&self, key: &AppKey) -> Result<BTreeMap<PreviewId, PreviewParts>, FolderError> {
        let parts = |folder: &PreviewFolder| PreviewParts { code: folder.code.is_some(), data: folder.data.is_some() };
        self.call("previews.look", &key.to_string(), CallKind::Read, |disk| {
            let of_app = disk.previews.get(key).into_iter().flatten();
            Ok(of_app.map(|(id, folder)| (id.clone(), parts(folder))).collect())
        })
        .await
    }

    async fn all(&self) -> Result<BTreeSet<AppKey>, FolderError> {
        self.call("previews.all", "", CallKind::Read, |disk| Ok(disk.previews.keys().cloned().collect())).await
    }

    async fn put_code(&self, key: &AppKey, id: &PreviewId, source: &PreviewSource) -> Result<(), FolderError> {
        self.call("previews.put_code", &key.to_string(), CallKind::Write, |disk| {
            let version = source.version();
            let missing = || FolderError::Terminal(format!("there is no version {version}"));
            let code = disk.code_of(key, version).ok_or_else(missing)?;
            let folder = disk.previews.entry(key.clone()).or_default().entry(id.clone()).or_default();
            folder.code.get_or_insert(code);
            Ok(())
        })
        .await
    }

    async fn copy_data(&self, key: &AppKey, id: &PreviewId, _: Bytes) -> Result<(), FolderError> {
        self.call("previews.copy_data", &key.to_string(), CallKind::Write, |disk| {
            let data = disk.data_of(key).unwrap_or_default();
            let folder = disk.previews.entry(key.clone()).or_default().entry(id.clone()).or_default();
            folder.data.get_or_insert(data);
            Ok(())
        })
        .await
    }

    async fn keep(&self, key: &AppKey, kept: Option<&PreviewId>) -> Result<(), FolderError> {
        self.call("previews.keep", &key.to_string(), CallKind::Write, |disk| {
            let of_app = disk.previews.entry(key.clone()).or_default();
            of_app.retain(|id, _| Some(id) == kept);
            disk.previews.retain(|_, of_app| !of_app.is_empty());
            Ok(())
        })
        .await
    }
}
