//! The history of each app, by git.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Seek as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::edits::check;
use super::export::Blobs;
use super::git::{Bounds, Git, closed_to_others};
use super::import::{Import, stream};
use super::list::{TreeEntry, changes, commits, refs, tree_entries};
use super::receive::PushLimits;
use super::zip::Packer;
use super::{Door, FileChange, History, HistoryError, Note, Publication, Published, Version, VersionFile};
use crate::folders::{CodeAt, CodeWriter, DiskFolders, FolderError, Owner};
use crate::model::units::DigestOf;
use crate::model::{AppKey, Digest, Timestamp, VersionId};

/// Of calls that look at refs and commits only.
pub(super) const LIGHT: Bounds = Bounds { time: Duration::from_secs(10), answer: 4 << 20 };
/// Of calls that read or write all code.
pub(super) const HEAVY: Duration = Duration::from_secs(120);
/// Most of the list of a version's files: 100,000 of them.
pub(super) const MOST_TREE: usize = 32 << 20;
/// Most of one file that is shown.
const MOST_SHOWN: usize = 8 << 20;
/// Most of a difference that is shown.
const MOST_DIFF: usize = 4 << 20;
/// Most versions that are listed, the newest of them.
const MOST_LISTED: usize = 200;

/// What a new commit is called until its version is: a crash leaves it behind, and the next recording takes its place.
const NEW: &str = "refs/drafts/new";
/// The working copy as it was last compared.
const WORKING: &str = "refs/drafts/working";
/// The branch whose commits run.
pub const BRANCH: &str = "refs/heads/main";
/// A version is compared with the one before.
const FIRST_PARENT: &str = "--diff-merges=first-parent";

/// What two versions are compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Side {
    Version(VersionId),
    /// `app/` as it is now.
    Working,
}

/// Writes code into a folder that is being made.
pub(super) type WriteCode<'w> = dyn FnMut(&mut CodeWriter<'_>) -> Result<(), FolderError> + 'w;

/// [`History`] by git. Cheap to clone. Whoever only reads needs no care; one writes at a time, the [`Recorder`](super::Recorder).
#[derive(Debug, Clone)]
pub struct GitHistory {
    pub(super) folders: DiskFolders,
    /// Or why there is none.
    git: Result<Git, String>,
    pub(super) limits: PushLimits,
}

impl GitHistory {
    /// Of the git that is installed now.
    #[must_use]
    pub fn new(folders: DiskFolders) -> Self {
        let git = usable(&folders.apps_dir());
        Self { folders, git, limits: PushLimits::default() }
    }

    /// With other limits than the usual.
    #[must_use]
    pub fn limited(mut self, limits: PushLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Whether a history could be kept of the apps below this folder.
    ///
    /// # Errors
    /// Why not, with the remedy.
    pub fn check(apps: &Path) -> Result<(), String> {
        usable(apps).map(drop)
    }

    /// Why no history is kept, with the remedy.
    #[must_use]
    pub fn off(&self) -> Option<&str> {
        self.git.as_ref().err().map(String::as_str)
    }

    pub(super) fn git(&self) -> Result<&Git, HistoryError> {
        self.git.as_ref().map_err(|why| HistoryError::Off(why.clone()))
    }

    /// The app's repository, made if it is missing.
    pub(super) async fn repository(&self, key: &AppKey) -> Result<PathBuf, HistoryError> {
        let git = self.git()?;
        if !self.folders.make_history(key, git.user).await? {
            return Err(HistoryError::NoCode(key.clone()));
        }
        Ok(self.folders.history_dir(key))
    }

    pub(super) async fn refs(&self, key: &AppKey, kind: &'static str) -> Result<BTreeSet<VersionId>, HistoryError> {
        Ok(self.folders.history_refs(key, kind).await?.unwrap_or_default())
    }

    /// When a checkout was taken; of the working copy, now.
    pub(super) async fn taken_at(&self, key: &AppKey, code: &CodeAt) -> Result<Timestamp, HistoryError> {
        Ok(self.folders.taken_at(key, code).await?)
    }

    pub(super) async fn checkouts(&self, key: &AppKey) -> Result<Vec<VersionId>, HistoryError> {
        Ok(self.folders.checkouts(key).await?)
    }

    /// Makes a commit of the code, and lets the version name it. What is recorded already is recorded anew, which changes
    /// nothing.
    ///
    /// # Crash
    /// The commit is there or not; the version names it or not. Both are repaired by calling this again.
    pub(super) async fn record(&self, key: &AppKey, code: CodeAt, note: Note) -> Result<VersionId, HistoryError> {
        let repository = self.repository(key).await?;
        let door = note.door;
        let content = self.import(&repository, key, code.clone(), NEW, note).await?;
        let version = match code {
            CodeAt::Version(version) => version,
            CodeAt::Working => {
                let mut digest = DigestOf::default();
                digest.field(content.as_str().as_bytes());
                digest.field(b"before there was a history");
                VersionId::of(&digest.finish())
            }
        };
        self.name(&repository, &version, door).await?;
        Ok(version)
    }

    async fn import(
        &self,
        repository: &Path,
        key: &AppKey,
        code: CodeAt,
        to: &'static str,
        note: Note,
    ) -> Result<Digest, HistoryError> {
        let git = self.git()?;
        let parent = self.tip(repository).await?;
        let (folders, import) = (self.folders.clone(), Import { key: key.clone(), code, to, parent, note });
        let args = ["fast-import", "--quiet", "--done", "--force", "--date-format=raw"];
        let imported = git
            .run_with(repository, ("record a version", &args), HEAVY, move |stdin, _| stream(&folders, &import, stdin));
        Ok(imported.await.map_err(|error| explained(repository, error))?.content)
    }

    /// Makes a version of what was sent.
    pub(super) async fn publish(&self, key: &AppKey, publication: Publication) -> Result<VersionId, HistoryError> {
        let Publication { what, by, message, bounds } = publication;
        let note = Note { by, door: Door::Publish, message };
        let now = self.taken_at(key, &CodeAt::Working).await?;
        let args = ["fast-import", "--quiet", "--done", "--force", "--date-format=raw"];
        let call: (&'static str, &[&str]) = ("publish a version", &args);
        let (repository, version, made) = match what {
            Published::Edits { base, edits } => {
                self.find(key, &base).await?;
                let repository = self.repository(key).await?;
                let files = self.tree(key, &base).await?;
                let checked = check(base, edits, &files, (now, bounds))?;
                let version = checked.version();
                let stream = move |stdin, _| checked.stream(NEW, &note, &files, stdin);
                let made = self.git()?.run_with(&repository, call, HEAVY, stream).await;
                (repository, version, made)
            }
            Published::Archive(archive) => {
                let repository = self.repository(key).await?;
                let (version, parent) = (archive.version(now), self.tip(&repository).await?);
                let stream = move |stdin, _| archive.stream((NEW, parent.as_deref()), &note, now, stdin);
                let made = self.git()?.run_with(&repository, call, HEAVY, stream).await;
                (repository, version, made)
            }
        };
        made.map_err(|error| explained(&repository, error))?;
        self.name(&repository, &version, Door::Publish).await?;
        Ok(version)
    }

    /// The newest version's commit.
    pub(super) async fn tip(&self, repository: &Path) -> Result<Option<String>, HistoryError> {
        let args = ["for-each-ref", "--format=%(objectname)", BRANCH];
        let tip = self.git()?.run(repository, ("look at the newest version", &args), Vec::new(), LIGHT).await;
        let tip = tip.map_err(|error| explained(repository, error))?;
        let tip = String::from_utf8_lossy(&tip).trim().to_owned();
        Ok((!tip.is_empty()).then_some(tip))
    }

    /// A version's code as a zip, in a file without a name.
    ///
    /// # Errors
    /// When there is no such version, or git or the disk fails.
    pub async fn archive(&self, key: &AppKey, version: &VersionId) -> Result<File, HistoryError> {
        self.find(key, version).await?;
        let at = self.list(key).await?.into_iter().find(|one| one.id == *version).map_or(Timestamp(0), |one| one.at);
        let repository = self.folders.history_dir(key);
        let entries = self.tree(key, version).await?;
        let full = |error: std::io::Error| {
            HistoryError::Folder(FolderError::Retryable(format!("the archive could not be written: {error}")))
        };
        let out = tempfile::tempfile_in(self.folders.apps_dir()).map_err(full)?;
        let packed = self.git()?.run_with(
            &repository,
            ("pack a version", &["cat-file", "--batch"]),
            HEAVY,
            move |stdin, stdout| {
                let mut packer = Packer::new(out, at);
                Blobs::new(stdin, stdout).pack(&entries, &mut packer)?;
                let mut file = packer.finish().map_err(full)?;
                file.rewind().map_err(full)?;
                Ok(file)
            },
        );
        packed.await.map_err(|error| explained(&repository, error))
    }

    /// Lets the version name the new commit.
    async fn name(&self, repository: &Path, version: &VersionId, door: Door) -> Result<(), HistoryError> {
        // What is kept before another version runs is nothing that somebody would build on.
        let branch = if door == Door::Saved { String::new() } else { self.moving(repository, NEW).await? };
        let changes = format!("start\nupdate refs/versions/{version} {NEW}\n{branch}delete {NEW}\nprepare\ncommit\n");
        let named = self.git()?.run(repository, ("name a version", &["update-ref", "--stdin"]), changes.into(), LIGHT);
        named.await.map_err(|error| explained(repository, error))?;
        Ok(())
    }

    async fn tree(&self, key: &AppKey, version: &VersionId) -> Result<Vec<TreeEntry>, HistoryError> {
        let repository = self.folders.history_dir(key);
        let name = format!("refs/versions/{version}");
        let args = ["ls-tree", "-r", "-z", "-l", "--full-tree", &name];
        let bounds = Bounds { answer: MOST_TREE, ..LIGHT };
        let tree = self.git()?.run(&repository, ("read a version", &args), Vec::new(), bounds).await;
        Ok(tree_entries(&tree.map_err(|error| explained(&repository, error))?))
    }

    /// The files of a version.
    ///
    /// # Errors
    /// When there is no such version, or git fails.
    pub async fn files(&self, key: &AppKey, version: &VersionId) -> Result<Vec<VersionFile>, HistoryError> {
        self.find(key, version).await?;
        let file = |entry: TreeEntry| VersionFile {
            path: String::from_utf8_lossy(&entry.path).into_owned(),
            bytes: entry.size,
        };
        Ok(self.tree(key, version).await?.into_iter().map(file).collect())
    }

    /// The files of a version by name, each with git's name of what it holds.
    ///
    /// # Errors
    /// When there is no such version, or git fails.
    pub async fn objects(&self, key: &AppKey, version: &VersionId) -> Result<BTreeMap<String, String>, HistoryError> {
        self.find(key, version).await?;
        let named = |entry: TreeEntry| (String::from_utf8_lossy(&entry.path).into_owned(), entry.object);
        Ok(self.tree(key, version).await?.into_iter().map(named).collect())
    }

    /// What a file of a version holds; `None` when it has none of that name.
    ///
    /// # Errors
    /// When there is no such version, the file is too large to be shown, or git fails.
    pub async fn read(&self, key: &AppKey, version: &VersionId, path: &str) -> Result<Option<Vec<u8>>, HistoryError> {
        self.find(key, version).await?;
        let Some(entry) = self.tree(key, version).await?.into_iter().find(|entry| entry.path == path.as_bytes()) else {
            return Ok(None);
        };
        let repository = self.folders.history_dir(key);
        let bounds = Bounds { answer: MOST_SHOWN, ..LIGHT };
        let args = ["cat-file", "blob", &entry.object];
        self.git()?.run(&repository, ("read a file", &args), Vec::new(), bounds).await.map(Some)
    }

    /// It has run and answered.
    pub(super) async fn mark_healthy(&self, key: &AppKey, version: &VersionId) -> Result<(), HistoryError> {
        let repository = self.repository(key).await?;
        let args = ["update-ref", &format!("refs/healthy/{version}"), &format!("refs/versions/{version}")];
        self.git()?.run(&repository, ("mark a version", &args), Vec::new(), LIGHT).await?;
        Ok(())
    }

    /// Every version, the newest first.
    ///
    /// # Errors
    /// When no history is kept, or git fails.
    pub async fn list(&self, key: &AppKey) -> Result<Vec<Version>, HistoryError> {
        let git = self.git()?;
        if self.folders.history_refs(key, "versions").await?.is_none() {
            return Ok(Vec::new());
        }
        let repository = self.folders.history_dir(key);
        let healthy = self.refs(key, "healthy").await?;
        let args = ["for-each-ref", "--format=%(objectname) %(refname)", "refs/versions"];
        let named = git.run(&repository, ("list the versions", &args), Vec::new(), LIGHT).await;
        let named = refs(&named.map_err(|error| explained(&repository, error))?);
        let lines = |commits: &mut dyn Iterator<Item = &String>| -> Vec<u8> {
            commits.flat_map(|commit| [commit.as_bytes(), b"\n"].concat()).collect()
        };
        let input = lines(&mut named.iter().map(|(_, commit)| commit));
        let objects = git.run(&repository, ("read the versions", &["cat-file", "--batch"]), input, LIGHT).await?;
        let commits = commits(&objects);
        let mut known: Vec<_> = named.iter().filter_map(|(id, name)| Some((id, name, commits.get(name)?))).collect();
        known.sort_by_key(|(id, _, commit)| std::cmp::Reverse((commit.at, (*id).clone())));
        known.truncate(MOST_LISTED);
        let input = lines(&mut known.iter().filter(|(_, _, commit)| commit.has_parent).map(|(_, name, _)| *name));
        // A pushed version has two: the one that ran before, and the commit that was pushed.
        let args = ["diff-tree", "--stdin", "-r", "-z", "--name-status", "--no-renames", "--no-ext-diff", FIRST_PARENT];
        let differences = match git.run(&repository, ("compare the versions", &args), input, LIGHT).await {
            Ok(answer) => {
                let differences = changes(&answer);
                // What was kept to be safe, and held nothing new.
                let mut trees = BTreeMap::<&str, usize>::new();
                for (_, _, commit) in &known {
                    *trees.entry(&commit.tree).or_default() += 1;
                }
                let held = |commit: &super::list::Commit| trees.get(&*commit.tree).is_some_and(|held| *held > 1);
                known.retain(|(_, name, commit)| {
                    commit.door != Door::Saved || (differences.contains_key(*name) && !held(commit))
                });
                differences
            }
            // The list is worth more than what changed in each.
            Err(error) => {
                tracing::warn!(app = %key, %error, "what changed in its versions cannot be told");
                BTreeMap::new()
            }
        };
        let version = |(id, name, commit): (&VersionId, &String, &super::list::Commit)| Version {
            id: id.clone(),
            at: commit.at,
            by: commit.by.clone(),
            door: commit.door,
            message: commit.message.clone(),
            files: commit.files,
            bytes: commit.bytes,
            healthy: healthy.contains(id),
            changes: differences.get(name).cloned().unwrap_or_default(),
        };
        Ok(known.into_iter().map(version).collect())
    }

    /// That it has this version.
    ///
    /// # Errors
    /// When it has not.
    pub async fn find(&self, key: &AppKey, version: &VersionId) -> Result<(), HistoryError> {
        if self.refs(key, "versions").await?.contains(version) {
            return Ok(());
        }
        Err(HistoryError::NoSuchVersion { key: key.clone(), version: version.clone() })
    }

    /// How the second differs from the first, as `git diff` writes it.
    ///
    /// # Errors
    /// When a version does not exist, or git fails.
    pub async fn diff(&self, key: &AppKey, from: &Side, to: &Side) -> Result<Vec<u8>, HistoryError> {
        let recorded = self.refs(key, "versions").await?;
        let named = |side: &Side| match side {
            Side::Working => Ok(WORKING.to_owned()),
            Side::Version(version) if recorded.contains(version) => Ok(format!("refs/versions/{version}")),
            Side::Version(version) => Err(HistoryError::NoSuchVersion { key: key.clone(), version: version.clone() }),
        };
        let (from, to) = (named(from)?, named(to)?);
        let repository = self.folders.history_dir(key);
        let args = ["diff", "--no-color", "--no-ext-diff", "--no-textconv", "--no-renames", &from, &to, "--"];
        let bounds = Bounds { answer: MOST_DIFF, ..LIGHT };
        let difference = self.git()?.run(&repository, ("compare two versions", &args), Vec::new(), bounds).await;
        difference.map_err(|error| explained(&repository, error))
    }

    /// Which files of the working copy, as it was last made comparable, differ from that version.
    ///
    /// # Errors
    /// When git fails.
    pub async fn unpublished(&self, key: &AppKey, version: &VersionId) -> Result<Vec<FileChange>, HistoryError> {
        self.find(key, version).await?;
        let repository = self.folders.history_dir(key);
        let name = format!("refs/versions/{version}");
        let args = ["diff-tree", "-r", "-z", "--name-status", "--no-renames", "--no-ext-diff", &name, WORKING];
        let answer = self.git()?.run(&repository, ("compare two versions", &args), Vec::new(), LIGHT).await;
        let answer = answer.map_err(|error| explained(&repository, error))?;
        Ok(changes(&answer).remove("").unwrap_or_default())
    }

    /// Hands a version's code to whoever puts it somewhere.
    ///
    /// # Errors
    /// When there is no such version, or it cannot be read or put there.
    pub async fn write_out(
        &self,
        key: &AppKey,
        version: &VersionId,
        put: impl FnOnce(&mut WriteCode<'_>) -> Result<(), FolderError> + Send + 'static,
    ) -> Result<(), FolderError> {
        self.write_version(key, version, put).await.map_err(|error| match error {
            HistoryError::Folder(error) => error,
            gone @ (HistoryError::NoSuchVersion { .. } | HistoryError::Off(_)) => {
                FolderError::Terminal(gone.to_string())
            }
            other => FolderError::Retryable(other.to_string()),
        })
    }

    async fn write_version(
        &self,
        key: &AppKey,
        version: &VersionId,
        put: impl FnOnce(&mut WriteCode<'_>) -> Result<(), FolderError> + Send + 'static,
    ) -> Result<(), HistoryError> {
        self.find(key, version).await?;
        let repository = self.folders.history_dir(key);
        let git = self.git()?;
        let entries = self.tree(key, version).await?;
        let args = ["cat-file", "--batch"];
        git.run_with(&repository, ("check out a version", &args), HEAVY, move |stdin, stdout| {
            let mut blobs = Blobs::new(stdin, stdout);
            Ok(put(&mut |writer| blobs.write(&entries, writer))?)
        })
        .await
    }

    /// Makes `app/` as it is now comparable.
    pub(super) async fn note_working_copy(&self, key: &AppKey) -> Result<(), HistoryError> {
        let repository = self.repository(key).await?;
        let note =
            Note { by: "minipaas".to_owned(), door: super::Door::Before, message: "the working copy".to_owned() };
        self.import(&repository, key, CodeAt::Working, WORKING, note).await.map(drop)
    }
}

/// Says which folder is in the way, where that is what is wrong.
pub(super) fn explained(repository: &Path, error: HistoryError) -> HistoryError {
    match error {
        HistoryError::Closed { .. } => {
            let path = repository.parent().and_then(closed_to_others).unwrap_or_else(|| repository.to_owned());
            HistoryError::Closed { path }
        }
        other => other,
    }
}

fn usable(apps: &Path) -> Result<Git, String> {
    let git = Git::find()?;
    match closed_to_others(apps) {
        Some(path) if git.user != Owner::current() => Err(HistoryError::Closed { path }.to_string()),
        _ => Ok(git),
    }
}

impl History for GitHistory {
    async fn recorded(&self, key: &AppKey) -> Result<Option<BTreeSet<VersionId>>, FolderError> {
        if self.git.is_err() {
            return Ok(None);
        }
        // One that is not made yet holds none, and what it does not hold must not go.
        Ok(Some(self.folders.history_refs(key, "versions").await?.unwrap_or_default()))
    }

    async fn check_out(&self, key: &AppKey, version: &VersionId) -> Result<(), FolderError> {
        let (folders, of, id) = (self.folders.clone(), key.clone(), version.clone());
        self.write_out(key, version, move |write| folders.put_version(&of, &id, write)).await
    }
}
