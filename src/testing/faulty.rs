//! The other seams with faults: folders, store and manifests around the real or in-memory ones. The engine's is
//! [`crate::engine::faulty`].

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use crate::desired::{Completeness, Manifests, Snapshot};
use crate::engine::ErrorKind;
use crate::engine::faulty::{CallKind, Life, Verdict, guard};
use crate::folders::{Brought, FolderError, FolderState, Folders, Origin, Space};
use crate::model::{
    AppKey, Bytes, Event, InstanceId, PreviewRecord, PurgeToken, Restored, TemplateId, Timestamp, VersionId,
};
use crate::store::{InventoryRow, Removals, Store, StoreError};

/// [`Folders`] with faults.
#[derive(Debug)]
pub struct FaultyFolders<F> {
    inner: F,
    life: Life,
}

impl<F: Folders> FaultyFolders<F> {
    pub fn new(inner: F, life: Life) -> Self {
        Self { inner, life }
    }

    async fn call<T>(
        &self,
        point: &'static str,
        key: Option<&AppKey>,
        kind: CallKind,
        call: impl Future<Output = Result<T, FolderError>>,
    ) -> Result<T, FolderError> {
        let object = key.map(ToString::to_string).unwrap_or_default();
        guard(&self.life, point, object, kind, call, |kind| {
            let text = format!("{point}: injected fault");
            Err(match kind {
                ErrorKind::Terminal => FolderError::Terminal(text),
                _ => FolderError::Retryable(text),
            })
        })
        .await
    }
}

impl<F: Folders> Folders for FaultyFolders<F> {
    fn code_dir(&self, key: &AppKey) -> PathBuf {
        self.inner.code_dir(key)
    }

    fn data_dir(&self, key: &AppKey) -> PathBuf {
        self.inner.data_dir(key)
    }

    fn versions_dir(&self, key: &AppKey) -> PathBuf {
        self.inner.versions_dir(key)
    }

    async fn look(&self, key: &AppKey) -> Result<FolderState, FolderError> {
        self.call("folders.look", Some(key), CallKind::Read, self.inner.look(key)).await
    }

    async fn ensure(&self, key: &AppKey, origin: &Origin) -> Result<Option<Timestamp>, FolderError> {
        self.call("folders.ensure", Some(key), CallKind::Write, self.inner.ensure(key, origin)).await
    }

    async fn take_version(&self, key: &AppKey, salt: &str) -> Result<VersionId, FolderError> {
        self.call("folders.take_version", Some(key), CallKind::Write, self.inner.take_version(key, salt)).await
    }

    async fn bring_code(
        &self,
        key: &AppKey,
        version: &VersionId,
        saved: (&VersionId, &str),
    ) -> Result<Brought, FolderError> {
        self.call("folders.bring_code", Some(key), CallKind::Write, self.inner.bring_code(key, version, saved)).await
    }

    async fn keep_versions(&self, key: &AppKey, kept: &BTreeSet<VersionId>) -> Result<(), FolderError> {
        self.call("folders.keep_versions", Some(key), CallKind::Write, self.inner.keep_versions(key, kept)).await
    }

    async fn write_compose(&self, key: &AppKey, text: &str) -> Result<(), FolderError> {
        self.call("folders.write_compose", Some(key), CallKind::Write, self.inner.write_compose(key, text)).await
    }

    async fn append_deploy_log(&self, key: &AppKey, text: &str) -> Result<(), FolderError> {
        let call = self.inner.append_deploy_log(key, text);
        self.call("folders.append_deploy_log", Some(key), CallKind::Write, call).await
    }

    async fn swap_data(&self, key: &AppKey) -> Result<Option<Restored>, FolderError> {
        self.call("folders.swap_data", Some(key), CallKind::Write, self.inner.swap_data(key)).await
    }

    async fn finish_swap(&self, key: &AppKey) -> Result<(), FolderError> {
        self.call("folders.finish_swap", Some(key), CallKind::Write, self.inner.finish_swap(key)).await
    }

    async fn trash_code(&self, key: &AppKey, template: Option<&TemplateId>) -> Result<(), FolderError> {
        self.call("folders.trash_code", Some(key), CallKind::Write, self.inner.trash_code(key, template)).await
    }

    async fn trash_data(&self, token: &PurgeToken) -> Result<(), FolderError> {
        self.call("folders.trash_data", Some(token.key()), CallKind::Write, self.inner.trash_data(token)).await
    }

    async fn data_usage(&self, key: &AppKey) -> Result<Bytes, FolderError> {
        self.call("folders.data_usage", Some(key), CallKind::Read, self.inner.data_usage(key)).await
    }

    async fn space(&self) -> Result<Space, FolderError> {
        self.call("folders.space", None, CallKind::Read, self.inner.space()).await
    }
}

/// [`Store`] with faults.
#[derive(Debug)]
pub struct FaultyStore<S> {
    inner: S,
    life: Life,
}

impl<S: Store> FaultyStore<S> {
    pub fn new(inner: S, life: Life) -> Self {
        Self { inner, life }
    }

    async fn call<T>(
        &self,
        point: &'static str,
        object: String,
        kind: CallKind,
        call: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        guard(&self.life, point, object, kind, call, |_| Err(StoreError(format!("{point}: injected fault")))).await
    }
}

impl<S: Store> Store for FaultyStore<S> {
    async fn instance(&self) -> Result<Option<InstanceId>, StoreError> {
        self.call("store.instance", String::new(), CallKind::Read, self.inner.instance()).await
    }

    async fn set_instance(&self, instance: &InstanceId) -> Result<(), StoreError> {
        self.call("store.set_instance", String::new(), CallKind::Write, self.inner.set_instance(instance)).await
    }

    async fn inventory(&self) -> Result<Vec<InventoryRow>, StoreError> {
        self.call("store.inventory", String::new(), CallKind::Read, self.inner.inventory()).await
    }

    async fn put(&self, row: &InventoryRow) -> Result<(), StoreError> {
        self.call("store.put", row.key.to_string(), CallKind::Write, self.inner.put(row)).await
    }

    async fn forget(&self, key: &AppKey) -> Result<(), StoreError> {
        self.call("store.forget", key.to_string(), CallKind::Write, self.inner.forget(key)).await
    }

    async fn removals(&self) -> Result<Removals, StoreError> {
        self.call("store.removals", String::new(), CallKind::Read, self.inner.removals()).await
    }

    async fn set_removals(&self, removals: &Removals) -> Result<(), StoreError> {
        self.call("store.set_removals", String::new(), CallKind::Write, self.inner.set_removals(removals)).await
    }

    async fn previews(&self) -> Result<Vec<PreviewRecord>, StoreError> {
        self.call("store.previews", String::new(), CallKind::Read, self.inner.previews()).await
    }

    async fn put_preview(&self, record: &PreviewRecord) -> Result<(), StoreError> {
        let call = self.inner.put_preview(record);
        self.call("store.put_preview", record.key.to_string(), CallKind::Write, call).await
    }

    async fn forget_preview(&self, key: &AppKey) -> Result<(), StoreError> {
        let call = self.inner.forget_preview(key);
        self.call("store.forget_preview", key.to_string(), CallKind::Write, call).await
    }

    async fn append(&self, events: &[Event]) -> Result<(), StoreError> {
        self.call("store.append", String::new(), CallKind::Write, self.inner.append(events)).await
    }

    async fn last_changes(&self) -> Result<BTreeMap<AppKey, String>, StoreError> {
        self.call("store.last_changes", String::new(), CallKind::Read, self.inner.last_changes()).await
    }

    async fn events(&self, app: Option<&AppKey>, limit: u32) -> Result<Vec<Event>, StoreError> {
        self.call("store.events", String::new(), CallKind::Read, self.inner.events(app, limit)).await
    }
}

/// [`Manifests`] with faults: a failed reading is a partial one that shows nothing, a stale one is the one before.
#[derive(Debug)]
pub struct FaultyManifests<M> {
    inner: M,
    life: Life,
    previous: Mutex<Option<Snapshot>>,
}

impl<M: Manifests> FaultyManifests<M> {
    pub fn new(inner: M, life: Life) -> Self {
        Self { inner, life, previous: Mutex::new(None) }
    }
}

impl<M: Manifests> Manifests for FaultyManifests<M> {
    async fn load(&self) -> Snapshot {
        let fail = |kind| {
            let reason = format!("manifests.load: injected fault ({kind:?})");
            Snapshot { completeness: Completeness::Partial { reason }, ..Snapshot::unread() }
        };
        let previous = || self.previous.lock().unwrap_or_else(PoisonError::into_inner);
        match self.life.step("manifests.load", "", CallKind::Read).await {
            Verdict::Fail(kind) => return fail(kind),
            Verdict::Stale => {
                // Before the first reading there is nothing to be stale with.
                let stale = previous().clone();
                if let Some(stale) = stale {
                    return stale;
                }
            }
            Verdict::Pass | Verdict::DieAfter | Verdict::LoseAnswer => {}
        }
        let snapshot = self.inner.load().await;
        self.life.settle().await;
        if self.life.remembers() {
            previous().replace(snapshot.clone());
        }
        snapshot
    }
}
