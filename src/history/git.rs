//! `git` as a child process.
//!
//! # Guarantees
//! - Arguments only, no shell; an environment and a configuration of our own; no hook, no prompt, no network.
//! - Started by root, it runs as a user of its own, who owns the histories and nothing else: neither code nor data of an app.
//! - It ends: after its deadline its whole process group is killed, and prlimit(1) bounds its memory, time and files before
//!   it reads its first byte.

use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};
pub(super) use tokio::process::{ChildStderr, ChildStdin, ChildStdout};

use super::HistoryError;
use crate::folders::Owner;
use crate::model::shown;

/// Whom histories belong to when the daemon is root. Not the apps' user: what an app breaks out as must not rewrite history.
pub const GIT_USER: Owner = Owner { uid: 10_002, gid: 10_002 };

/// Where programs are looked for; the environment of whoever started the daemon decides nothing.
const PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// Enough for git on the largest code there may be: whole files above 4 MiB pass through without being held in memory.
const MEMORY: &str = "--as=1073741824";
const CPU_SECONDS: &str = "--cpu=120";
/// The largest file that it may write: all code that there may be, in one pack.
const FILE_SIZE: &str = "--fsize=1073741824";

/// How much of what git says in its own defence is kept.
const MOST_SAID: u64 = 4 << 10;

/// `name=value`, in force for every call.
const CONFIG: &[(&str, &str)] = &[
    ("safe.directory", "*"),
    ("core.hooksPath", "/dev/null"),
    ("core.attributesFile", "/dev/null"),
    ("core.fsmonitor", "false"),
    ("core.quotePath", "false"),
    // By default what is not packed is not flushed.
    ("core.fsync", "committed,reference"),
    ("core.packedGitLimit", "128m"),
    ("core.packedGitWindowSize", "16m"),
    ("core.bigFileThreshold", "4m"),
    ("core.logAllRefUpdates", "false"),
    ("pack.threads", "1"),
    ("pack.windowMemory", "64m"),
    // A version is one pack: two files to flush instead of one for each of its own.
    ("fastimport.unpackLimit", "1"),
    ("gc.auto", "0"),
    ("maintenance.auto", "false"),
    ("protocol.allow", "never"),
    // Whoever clones or pushes sees branches and tags; what we keep our books in is ours.
    ("transfer.hideRefs", "refs"),
    ("transfer.hideRefs", "!refs/heads"),
    ("transfer.hideRefs", "!refs/tags"),
    ("transfer.fsckObjects", "true"),
    ("color.ui", "false"),
];

/// The program, and whom it runs as.
#[derive(Debug, Clone)]
pub(super) struct Git {
    pub(super) user: Owner,
    /// More of the environment.
    pub(super) more: Vec<(&'static str, OsString)>,
}

/// How far one call may go.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) time: Duration,
    /// Most bytes of its answer.
    pub(super) answer: usize,
}

impl Git {
    /// # Errors
    /// Which program is not there, and what brings it.
    pub(super) fn find() -> Result<Self, String> {
        Self::find_in(PATH)
    }

    fn find_in(path: &str) -> Result<Self, String> {
        for (program, package) in [("git", "git"), ("prlimit", "util-linux")] {
            if !path.split(':').any(|folder| Path::new(folder).join(program).is_file()) {
                return Err(format!(
                    "`{program}` is not installed, so no history of the apps' code is kept: `apt install {package}`, then \
                     restart the daemon"
                ));
            }
        }
        let current = Owner::current();
        Ok(Self { user: if current.uid == 0 { GIT_USER } else { current }, more: Vec::new() })
    }

    /// The same with more of an environment.
    #[must_use]
    pub(super) fn with(&self, name: &'static str, value: impl Into<OsString>) -> Self {
        let mut git = self.clone();
        git.more.push((name, value.into()));
        git
    }

    /// Runs to its end. `what` completes "git could not …".
    pub(super) async fn run(
        &self,
        repository: &Path,
        (what, args): (&'static str, &[&str]),
        input: Vec<u8>,
        bounds: Bounds,
    ) -> Result<Vec<u8>, HistoryError> {
        let mut running = self.start(repository, what, args)?;
        let work = async {
            let (stdin, stdout, stderr) = running.pipes()?;
            let feed = async {
                let mut stdin = stdin;
                // One that ends before it has read everything says why.
                let _ = stdin.write_all(&input).await;
            };
            let (answer, said, ()) = tokio::join!(read(stdout, bounds.answer), read_said(stderr), feed);
            let answer = answer.map_err(|error| HistoryError::git(what, error.to_string()))?;
            if answer.len() > bounds.answer {
                let most = bounds.answer >> 10;
                return Err(HistoryError::git(what, format!("the answer has more than {most} KiB")));
            }
            running.ended(&said).await?;
            Ok(answer)
        };
        tokio::time::timeout(bounds.time, work).await.unwrap_or(Err(HistoryError::TooSlow { what }))
    }

    /// Runs beside `work`, which writes to its input and reads its answer on a thread that may block. What `work` says counts
    /// more than what git says: a pipe that breaks has its reason on either side.
    pub(super) async fn run_with<T: Send + 'static>(
        &self,
        repository: &Path,
        (what, args): (&'static str, &[&str]),
        time: Duration,
        work: impl FnOnce(File, File) -> Result<T, HistoryError> + Send + 'static,
    ) -> Result<T, HistoryError> {
        let mut running = self.start(repository, what, args)?;
        let all = async {
            let (stdin, stdout, stderr) = running.pipes()?;
            let broken = |error: std::io::Error| HistoryError::git(what, error.to_string());
            let stdin = File::from(stdin.into_owned_fd().map_err(broken)?);
            let stdout = File::from(stdout.into_owned_fd().map_err(broken)?);
            let work = tokio::task::spawn_blocking(move || work(stdin, stdout));
            let (done, said) = tokio::join!(work, read_said(stderr));
            let done = done.map_err(|error| HistoryError::git(what, format!("{error}; please report it")))?;
            let ended = running.ended(&said).await;
            match (done, ended) {
                (Ok(done), Ok(())) => Ok(done),
                (Err(HistoryError::Pipe) | Ok(_), Err(said)) => Err(said),
                (Err(error), _) => Err(error),
            }
        };
        // Dropped, it is killed, and whoever waits for it on the thread sees the pipes close.
        tokio::time::timeout(time, all).await.unwrap_or(Err(HistoryError::TooSlow { what }))
    }

    pub(super) fn start(&self, repository: &Path, what: &'static str, args: &[&str]) -> Result<Running, HistoryError> {
        let mut command = Command::new("prlimit");
        command.args([MEMORY, CPU_SECONDS, FILE_SIZE, "--nofile=256", "--core=0", "--", "git"]).args(args);
        command.env_clear().env("PATH", PATH).env("LC_ALL", "C").env("HOME", "/nonexistent");
        command.env("GIT_DIR", ".").env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_CONFIG_GLOBAL", "/dev/null");
        command.env("GIT_TERMINAL_PROMPT", "0").env("GIT_CONFIG_COUNT", CONFIG.len().to_string());
        for (number, (name, value)) in CONFIG.iter().enumerate() {
            command.env(format!("GIT_CONFIG_KEY_{number}"), name).env(format!("GIT_CONFIG_VALUE_{number}"), value);
        }
        command.envs(self.more.iter().map(|(name, value)| (name, value)));
        command.current_dir(repository).process_group(0).kill_on_drop(true);
        if self.user != Owner::current() {
            command.uid(self.user.uid).gid(self.user.gid);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.spawn().map_err(|error| match error.kind() {
            std::io::ErrorKind::PermissionDenied => HistoryError::Closed { path: repository.to_owned() },
            _ => HistoryError::git(what, format!("it could not be started: {error}")),
        })?;
        Ok(Running { child, what })
    }
}

/// A child that does not outlive this value, nor do its own children.
#[derive(Debug)]
pub(super) struct Running {
    child: Child,
    what: &'static str,
}

pub(super) type Pipes = (ChildStdin, ChildStdout, ChildStderr);

impl Running {
    pub(super) fn pipes(&mut self) -> Result<Pipes, HistoryError> {
        let Child { stdin, stdout, stderr, .. } = &mut self.child;
        let pipes = stdin.take().zip(stdout.take()).zip(stderr.take());
        pipes.map(|((stdin, stdout), stderr)| (stdin, stdout, stderr)).ok_or(HistoryError::Pipe)
    }

    pub(super) async fn ended(&mut self, said: &[u8]) -> Result<(), HistoryError> {
        let status =
            self.child.wait().await.map_err(|error| HistoryError::git(self.what, format!("it was lost: {error}")))?;
        if status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(said);
        let said = said.trim();
        let reason = if said.is_empty() { status.to_string() } else { shown::message(said) };
        Err(HistoryError::git(self.what, reason))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // `None` once it was waited for: the number may be somebody else's by then.
        let id = self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        if let Some(group) = id {
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

pub(super) async fn read(pipe: impl AsyncRead + Unpin, most: usize) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    pipe.take(most as u64 + 1).read_to_end(&mut bytes).await?;
    Ok(bytes)
}

/// The beginning counts; the rest is read so that nobody waits for it.
pub(super) async fn read_said(mut pipe: impl AsyncRead + Unpin) -> Vec<u8> {
    let mut said = Vec::new();
    let _ = (&mut pipe).take(MOST_SAID).read_to_end(&mut said).await;
    let _ = tokio::io::copy(&mut pipe, &mut tokio::io::sink()).await;
    said
}

/// Where the histories of these apps are cannot be reached by git's own user.
pub(super) fn closed_to_others(path: &Path) -> Option<PathBuf> {
    use std::os::unix::fs::PermissionsExt as _;
    let mut folders: Vec<&Path> = path.ancestors().collect();
    folders.reverse();
    let closed = |folder: &&Path| folder.metadata().is_ok_and(|metadata| metadata.permissions().mode() & 0o001 == 0);
    folders.into_iter().find(closed).map(Path::to_owned)
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn without_git_it_says_what_to_install() {
        let folder = tempfile::tempdir().unwrap();
        let error = Git::find_in(folder.path().to_str().unwrap()).unwrap_err();
        assert!(error.contains("`git` is not installed") && error.contains("`apt install git`"), "{error}");
    }

    #[tokio::test]
    async fn what_takes_too_long_is_ended_and_what_is_too_much_refused() {
        let folder = tempfile::Builder::new().prefix("git-").tempdir().unwrap();
        let git = Git { user: Owner::current(), more: Vec::new() };
        let bounds = |millis, answer| Bounds { time: Duration::from_millis(millis), answer };
        // It waits for the end of an input that never comes.
        let endless = git
            .run_with(
                folder.path(),
                ("wait", &["hash-object", "--stdin"]),
                Duration::from_millis(200),
                |stdin, mut out| {
                    let mut all = Vec::new();
                    out.read_to_end(&mut all).map_err(|_| HistoryError::Pipe)?;
                    drop(stdin);
                    Ok(all.len())
                },
            )
            .await;
        assert!(matches!(endless, Err(HistoryError::TooSlow { what: "wait" })), "{endless:?}");
        let much = git.run(folder.path(), ("tell its version", &["version"]), Vec::new(), bounds(10_000, 3)).await;
        assert!(much.unwrap_err().to_string().contains("more than 0 KiB"));
        let refused = git.run(folder.path(), ("do it", &["no-such-command"]), Vec::new(), bounds(10_000, 100)).await;
        assert!(refused.unwrap_err().to_string().contains("no-such-command"));
    }
}
