//! The daemon's side: starts the child, hands it the descriptors, waits no longer than it may.

use std::fs::File;
use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use rustix::fs::{Gid, Mode, Uid};
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType, sendmsg, socketpair,
};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::Command;

use super::child::VERB;
use super::job::{Answer, Bounds, Job, Part, Report};
use crate::folders::Owner;
use crate::model::shown;

/// How much of an answer is read.
const MOST_ANSWERED: u64 = 1 << 20;
/// How much of what a child says before it dies is kept.
const MOST_SAID: u64 = 4 << 10;
/// A child that was killed is gone after that, or hangs in the kernel, where nobody can help it.
const GONE: Duration = Duration::from_secs(5);

/// Why something about an app's data could not be done. The data is as it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfinedError {
    /// The data, or the place to write to, is the reason.
    #[error("{0}")]
    Refused(String),
    #[error("it took longer than {} seconds and was ended: the data is too much, or made so that it never ends", .0.as_secs())]
    TooSlow(Duration),
    #[error("the process that reads the data ended with {how}{}: the data asks for more memory, time or disk than it may have", beside(.said))]
    Died { how: String, said: String },
    #[error("the process that reads the data cannot be started: {0}")]
    Start(String),
}

fn beside(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!(" ({text})") }
}

impl From<std::io::Error> for ConfinedError {
    fn from(error: std::io::Error) -> Self {
        Self::Start(error.to_string())
    }
}

impl From<rustix::io::Errno> for ConfinedError {
    fn from(error: rustix::io::Errno) -> Self {
        Self::Start(std::io::Error::from(error).to_string())
    }
}

/// The program, and whom its child runs as.
#[derive(Debug, Clone)]
pub struct Confined {
    program: PathBuf,
    user: Owner,
}

impl Default for Confined {
    fn default() -> Self {
        // This very file, also when another version lies under its name by now.
        Self::with_program("/proc/self/exe".into())
    }
}

impl Confined {
    /// Another file of the same program: in a test, this one is the test.
    #[must_use]
    pub fn with_program(program: PathBuf) -> Self {
        let current = Owner::current();
        Self { program, user: if current.uid == 0 { Owner::APP } else { current } }
    }

    /// The same as another user, if the daemon can choose.
    #[must_use]
    pub fn as_user(&self, user: Owner) -> Self {
        let current = Owner::current();
        Self { program: self.program.clone(), user: if current.uid == 0 { user } else { current } }
    }

    /// Copies a folder into an empty one: databases as they were at one moment, although the app writes, and everything else
    /// beside them. `into` is given to the apps' user, and so is all that is in it. Folders that lead there must let others pass.
    pub async fn copy(&self, folder: impl AsFd, into: impl AsFd, bounds: Bounds) -> Result<Report, ConfinedError> {
        self.give(&into)?;
        self.run(&Job::Copy { bounds }, &[folder.as_fd(), into.as_fd()]).await
    }

    /// Appends a folder to an archive that is being written: one frame of zstd with a part of a tar file in it. `scratch` is an empty
    /// folder, for one database at a time.
    pub async fn archive(
        &self,
        part: Part,
        folder: impl AsFd,
        scratch: impl AsFd,
        output: &File,
        bounds: Bounds,
    ) -> Result<Report, ConfinedError> {
        self.give(&scratch)?;
        self.run(&Job::Archive { part, bounds }, &[folder.as_fd(), scratch.as_fd(), output.as_fd()]).await
    }

    /// Reads an archive from its beginning to its end, and judges it: names, sizes, checksums.
    pub async fn check(&self, archive: &File, bounds: Bounds) -> Result<Report, ConfinedError> {
        self.run(&Job::Check { bounds }, &[archive.as_fd()]).await
    }

    /// [`check`](Self::check), then unpacks the data into an empty folder and checks each database there.
    pub async fn unpack(&self, archive: &File, into: impl AsFd, bounds: Bounds) -> Result<Report, ConfinedError> {
        self.give(&into)?;
        self.run(&Job::Unpack { bounds }, &[archive.as_fd(), into.as_fd()]).await
    }

    fn give(&self, folder: impl AsFd) -> Result<(), ConfinedError> {
        rustix::fs::fchmod(&folder, Mode::RWXU)?;
        if self.user != Owner::current() {
            rustix::fs::fchown(&folder, Some(Uid::from_raw(self.user.uid)), Some(Gid::from_raw(self.user.gid)))?;
        }
        Ok(())
    }

    async fn run(&self, job: &Job, descriptors: &[BorrowedFd<'_>]) -> Result<Report, ConfinedError> {
        let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        send(&ours, job, descriptors)?;
        let mut command = Command::new(&self.program);
        command.arg0("paas").arg(VERB).env_clear().current_dir("/").process_group(0).kill_on_drop(true);
        if self.user != Owner::current() {
            command.uid(self.user.uid).gid(self.user.gid);
        }
        command.stdin(Stdio::from(theirs)).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn()?;
        // The child's end is open in it only.
        drop(command);
        let pipes = child.stdout.take().zip(child.stderr.take());
        let Some((stdout, stderr)) = pipes else { return Err(ConfinedError::Start("it has no pipes".to_owned())) };
        let time = job.bounds().time;
        let work = async {
            let (answer, said) = tokio::join!(read(stdout, MOST_ANSWERED), read(stderr, MOST_SAID));
            (answer, said, child.wait().await)
        };
        let Ok((answer, said, ended)) = tokio::time::timeout(time, work).await else {
            let _ = child.start_kill();
            let _ = tokio::time::timeout(GONE, child.wait()).await;
            return Err(ConfinedError::TooSlow(time));
        };
        match serde_json::from_slice(&answer) {
            Ok(Answer::Done(report)) => Ok(report),
            Ok(Answer::Refused(why)) => Err(ConfinedError::Refused(shown::message(&why))),
            Err(_) => Err(ConfinedError::Died {
                how: ended.map_or_else(|error| error.to_string(), |status| status.to_string()),
                said: shown::message(String::from_utf8_lossy(&said).trim()),
            }),
        }
    }
}

fn send(socket: &OwnedFd, job: &Job, descriptors: &[BorrowedFd<'_>]) -> Result<(), ConfinedError> {
    let text = serde_json::to_vec(job).map_err(|error| ConfinedError::Start(error.to_string()))?;
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
    let mut beside = SendAncillaryBuffer::new(&mut space);
    beside.push(SendAncillaryMessage::ScmRights(descriptors));
    sendmsg(socket, &[IoSlice::new(&text)], &mut beside, SendFlags::empty())?;
    Ok(())
}

/// The beginning; the rest is read so that nobody waits for it.
async fn read(mut pipe: impl AsyncRead + Unpin, most: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    let _ = (&mut pipe).take(most).read_to_end(&mut bytes).await;
    let _ = tokio::io::copy(&mut pipe, &mut tokio::io::sink()).await;
    bytes
}
