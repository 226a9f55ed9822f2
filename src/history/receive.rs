//! A push: its pack is received aside, looked at, and only then part of the history. Git's own `receive-pack` changes the
//! branches before anybody could look, unless a hook looks; there are no hooks here.
//!
//! # Crash
//! What is received aside is removed by the next push of another daemon. A version is made before the branch moves: pushed
//! again, the same commit is the same version.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use tokio::io::AsyncWriteExt as _;

use super::fit::{Extent, Link, Unfit, check, check_link};
use super::git::{Bounds, Git, read, read_said};
use super::import::{message, one_line};
use super::repository::{BRANCH, HEAVY, LIGHT, MOST_TREE, explained};
use super::{Door, GitHistory, HistoryError, Note, RecorderHandle};
use crate::folders::{CodeAt, CodeFound, DiskFolders};
use crate::model::{AppKey, VersionId};

/// What stands for "there is none".
pub const NONE: &str = "0000000000000000000000000000000000000000";

/// Most bytes of the targets of a commit's links.
const MOST_TARGETS: usize = 4 << 20;
/// What a tip was that a push has replaced by something else.
const KEPT: &str = "refs/kept";

/// How much may come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PushLimits {
    /// Bytes of one pack.
    pub pack: u64,
    /// Bytes of all packs of an app: no further push is taken above it.
    pub history: u64,
}

impl Default for PushLimits {
    fn default() -> Self {
        // As much as code may be; and room for its versions.
        Self { pack: 512 << 20, history: 4 << 30 }
    }
}

/// Why a push is not taken.
#[derive(Debug, Clone)]
pub enum Refused {
    /// The commit cannot run.
    Unfit(Unfit),
    /// A branch is to name something else.
    NoCommit,
    /// What it builds on is not there: it comes from a clone that is not whole.
    Incomplete,
    /// Git does not take the pack; what it says.
    Pack(String),
    /// The packs of the app have more bytes than this.
    Full {
        most: u64,
    },
    /// Another version has the name that this one would get.
    Taken(VersionId),
    History(HistoryError),
}

impl From<HistoryError> for Refused {
    fn from(error: HistoryError) -> Self {
        Self::History(error)
    }
}

/// What one line of a push asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Update {
    pub name: String,
    /// [`NONE`] where there was none.
    pub old: String,
    /// [`NONE`]: it is to go.
    pub new: String,
}

/// A commit that can run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fit {
    pub commit: String,
    pub extent: Extent,
    tree: String,
    subject: String,
}

/// A pack on its way. Dropped, nothing is left of it.
#[derive(Debug)]
pub struct Incoming {
    git: Git,
    folders: DiskFolders,
    key: AppKey,
    repository: PathBuf,
    name: String,
}

impl Drop for Incoming {
    fn drop(&mut self) {
        if let Err(error) = self.folders.remove_incoming(&self.key, &self.name) {
            tracing::warn!(app = %self.key, %error, "what is left of a push is removed by the next daemon");
        }
    }
}

impl GitHistory {
    /// A place for a pack.
    ///
    /// # Errors
    /// When no history is kept, there is no room, or it cannot be made.
    pub async fn receive(&self, key: &AppKey) -> Result<Incoming, Refused> {
        let repository = self.repository(key).await?;
        let most = self.limits.history;
        if self.folders.history_size(key).await.map_err(HistoryError::from)? > most {
            return Err(Refused::Full { most });
        }
        let name = self.folders.make_incoming(key, self.git()?.user).await.map_err(HistoryError::from)?;
        let git = self.git()?.with("GIT_OBJECT_DIRECTORY", repository.join(&name));
        let git = git.with("GIT_ALTERNATE_OBJECT_DIRECTORIES", repository.join("objects"));
        Ok(Incoming { git, folders: self.folders.clone(), key: key.clone(), repository, name })
    }

    /// How much may come.
    #[must_use]
    pub fn limits(&self) -> PushLimits {
        self.limits
    }

    /// Lets a version name a commit, whose objects are in the history: the same commit is the same version.
    async fn version_of(
        &self,
        key: &AppKey,
        fit: &Fit,
        by: &str,
        before: Option<&VersionId>,
    ) -> Result<VersionId, Refused> {
        let repository = self.repository(key).await?;
        let light = |what, args: Vec<String>, input: String| {
            let repository = repository.clone();
            async move {
                let args: Vec<&str> = args.iter().map(String::as_str).collect();
                let said = self.git()?.run(&repository, (what, &args), input.into(), LIGHT).await?;
                Ok::<_, HistoryError>(String::from_utf8_lossy(&said).trim().to_owned())
            }
        };
        let args = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let commit = &fit.commit;
        let at = format!("--points-at={commit}");
        // One that was deployed here, cloned, and pushed again.
        let known = light(
            "find a version",
            args(&["for-each-ref", "--format=%(refname)", &at, "refs/versions"]),
            String::new(),
        );
        let known = known.await?;
        let known = known.lines().find_map(|name| VersionId::parse(name.strip_prefix("refs/versions/")?));
        if let Some(known) = known {
            return Ok(known);
        }
        let version = VersionId::parse(&commit[..16]).ok_or(Refused::NoCommit)?;
        if self.refs(key, "versions").await?.contains(&version) {
            let name = format!("refs/versions/{version}^{{tree}}");
            let tree = light("read a version", args(&["rev-parse", "--verify", &name]), String::new()).await?;
            return if tree == fit.tree { Ok(version) } else { Err(Refused::Taken(version)) };
        }
        let mut parents = Vec::new();
        if let Some(before) = before.filter(|before| *before != &version)
            && self.refs(key, "versions").await?.contains(before)
        {
            parents.push(
                light("read a version", args(&["rev-parse", &format!("refs/versions/{before}")]), String::new())
                    .await?,
            );
        }
        parents.push(commit.clone());
        let now = self.taken_at(key, &CodeAt::Working).await?;
        let found = CodeFound { at: now, files: fit.extent.files, bytes: fit.extent.bytes };
        let note = Note { by: by.to_owned(), door: Door::Push, message: fit.subject.clone() };
        let (by, seconds) = (one_line(by), now.0.div_euclid(1000));
        let parents = lines(parents.iter().map(|parent| format!("parent {parent}")));
        let signed = format!("{by} <> {seconds} +0000");
        let (tree, text) = (&fit.tree, message(&note, &found));
        // What was pushed stays what it is; this says of it who pushed it, and when.
        let object = format!("tree {tree}\n{parents}author {signed}\ncommitter {signed}\n\n{text}");
        let hash = args(&["hash-object", "-t", "commit", "-w", "--stdin"]);
        let made = light("write a version", hash, object).await?;
        light("name a version", args(&["update-ref", &format!("refs/versions/{version}"), &made]), String::new())
            .await?;
        Ok(version)
    }

    /// Lets the app's branch name another commit. A tip that this one does not build on is kept. One at a time, the
    /// [`Recorder`](super::Recorder).
    pub(super) async fn move_branch(&self, key: &AppKey, to: &str) -> Result<(), HistoryError> {
        let repository = self.repository(key).await?;
        let changes = format!("start\n{}prepare\ncommit\n", self.moving(&repository, to).await?);
        let args = ["update-ref", "--stdin"];
        self.git()?.run(&repository, ("move the branch", &args), changes.into(), LIGHT).await.map(drop)
    }

    /// What `update-ref` is told for that.
    pub(super) async fn moving(&self, repository: &Path, to: &str) -> Result<String, HistoryError> {
        let git = self.git()?;
        let moved = format!("update {BRANCH} {to}\n");
        let Some(tip) = self.tip(repository).await? else { return Ok(moved) };
        let args = ["rev-list", "--count", "--max-count=1", &tip, "--not", to];
        let lost = git.run(repository, ("compare two versions", &args), Vec::new(), LIGHT).await?;
        Ok(if lost.trim_ascii() == b"0" { moved } else { format!("update {KEPT}/{tip} {tip}\n{moved}") })
    }

    /// Changes another branch or a tag, if it is still what it was.
    ///
    /// # Errors
    /// When it is not, or it cannot have that name.
    pub async fn update(&self, key: &AppKey, update: &Update) -> Result<(), HistoryError> {
        let repository = self.repository(key).await?;
        let Update { name, old, new } = update;
        let change = match &**new {
            NONE => format!("delete {name}\0{old}\0"),
            new => format!("update {name}\0{new}\0{old}\0"),
        };
        let args = ["update-ref", "-z", "--stdin"];
        self.git()?.run(&repository, ("change a branch or a tag", &args), change.into(), LIGHT).await.map(drop)
    }
}

impl RecorderHandle {
    /// Makes a version of a commit that was pushed. Its branch has yet to move.
    ///
    /// # Errors
    /// When it cannot be made.
    pub async fn make_version(
        &self,
        key: &AppKey,
        fit: &Fit,
        by: &str,
        before: Option<&VersionId>,
    ) -> Result<VersionId, Refused> {
        self.history().version_of(key, fit, by, before).await
    }
}

impl Incoming {
    /// Takes in the pack as far as it comes. It is read to its end, also where git does not want it.
    ///
    /// # Errors
    /// When the pack is not taken; the outer one is the stream's own.
    pub async fn index<E>(
        &self,
        pack: impl Stream<Item = Result<Bytes, E>>,
        most: u64,
    ) -> Result<Result<(), Refused>, E> {
        let most = format!("--max-input-size={most}");
        let args = ["index-pack", "--stdin", "--fix-thin", "--strict", "--threads=1", &most];
        let started = self.git.start(&self.repository, "take in a pack", &args);
        let mut running = match started {
            Ok(running) => running,
            Err(error) => return Ok(Err(error.into())),
        };
        let (mut stdin, stdout, stderr) = match running.pipes() {
            Ok(pipes) => pipes,
            Err(error) => return Ok(Err(error.into())),
        };
        let feeding = async move {
            let mut pack = std::pin::pin!(pack);
            let mut wanted = true;
            while let Some(chunk) = pack.next().await {
                let chunk = chunk?;
                wanted = wanted && stdin.write_all(&chunk).await.is_ok();
            }
            Ok(())
        };
        let (fed, said, _) = tokio::join!(feeding, read_said(stderr), read(stdout, LIGHT.answer));
        fed?;
        Ok(running.ended(&said).await.map_err(|error| match error {
            HistoryError::Git { said, .. } => Refused::Pack(said),
            other => other.into(),
        }))
    }

    /// Whether all that these build on is there.
    ///
    /// # Errors
    /// When it is not.
    pub async fn is_whole(&self, objects: impl Iterator<Item = &str>) -> Result<(), Refused> {
        let input = lines(objects);
        let args = ["rev-list", "--objects", "--stdin", "--not", "--all", "--quiet"];
        let bounds = Bounds { time: HEAVY, ..LIGHT };
        match self.git.run(&self.repository, ("follow the commits", &args), input.into(), bounds).await {
            Ok(_) => Ok(()),
            Err(HistoryError::Git { .. }) => Err(Refused::Incomplete),
            Err(other) => Err(other.into()),
        }
    }

    /// Whether it is a commit, as a branch needs.
    ///
    /// # Errors
    /// When it is not.
    pub async fn is_commit(&self, object: &str) -> Result<(), Refused> {
        let kind = self.ask("look at an object", &["cat-file", "-t", object], LIGHT).await?;
        if kind.trim_ascii() == b"commit" { Ok(()) } else { Err(Refused::NoCommit) }
    }

    /// Whether it can run.
    ///
    /// # Errors
    /// Why not.
    pub async fn judge(&self, commit: &str) -> Result<Fit, Refused> {
        self.is_commit(commit).await?;
        let object = self.ask("read a commit", &["cat-file", "commit", commit], LIGHT).await?;
        let text = String::from_utf8_lossy(&object);
        let tree = text.lines().next().and_then(|line| line.strip_prefix("tree ")).ok_or(Refused::NoCommit)?;
        let subject = text.split_once("\n\n").and_then(|(_, message)| message.trim_start().lines().next());
        let subject = subject.filter(|subject| !subject.trim().is_empty()).unwrap_or("pushed").to_owned();
        let bounds = Bounds { answer: MOST_TREE, ..LIGHT };
        let entries = self.ask("read a commit", &["ls-tree", "-r", "-z", "-l", "--full-tree", commit], bounds).await?;
        let (extent, links) = check(&entries).map_err(Refused::Unfit)?;
        self.judge_links(&links).await?;
        Ok(Fit { commit: commit.to_owned(), extent, tree: tree.to_owned(), subject })
    }

    async fn judge_links(&self, links: &[Link]) -> Result<(), Refused> {
        if links.is_empty() {
            return Ok(());
        }
        let input = lines(links.iter().map(|link| &link.object));
        let bounds = Bounds { answer: MOST_TARGETS, ..LIGHT };
        let args = ["cat-file", "--batch"];
        let answer = self.git.run(&self.repository, ("read its links", &args), input.into(), bounds).await?;
        let mut rest = &*answer;
        for link in links {
            let broken = || Refused::Unfit(Unfit::LinkOut(String::from_utf8_lossy(&link.path).into_owned()));
            let end = rest.iter().position(|byte| *byte == b'\n').ok_or_else(broken)?;
            let head = String::from_utf8_lossy(&rest[..end]);
            let size: usize = head.rsplit(' ').next().and_then(|size| size.parse().ok()).ok_or_else(broken)?;
            let target = rest.get(end + 1..end + 1 + size).ok_or_else(broken)?;
            check_link(&link.path, target).map_err(Refused::Unfit)?;
            rest = rest.get(end + 2 + size..).unwrap_or_default();
        }
        Ok(())
    }

    async fn ask(&self, what: &'static str, args: &[&str], bounds: Bounds) -> Result<Vec<u8>, Refused> {
        let said = self.git.run(&self.repository, (what, args), Vec::new(), bounds).await;
        said.map_err(|error| explained(&self.repository, error).into())
    }

    /// Makes it part of the history. No branch names any of it yet.
    ///
    /// # Errors
    /// When its files cannot be moved.
    pub async fn take_in(&self) -> Result<(), Refused> {
        Ok(self.folders.take_in(&self.key, &self.name).await.map_err(HistoryError::from)?)
    }
}

/// Each on a line of its own.
fn lines(words: impl Iterator<Item = impl AsRef<str>>) -> String {
    words.flat_map(|word| [word.as_ref().to_owned(), "\n".to_owned()]).collect()
}
