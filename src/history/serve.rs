//! What somebody who clones reads: branches, tags and what is behind them, by git's own `upload-pack`.

use super::git::{ChildStderr, ChildStdin, ChildStdout, Git, Running, read_said};
use super::repository::{LIGHT, explained};
use super::{GitHistory, HistoryError};
use crate::model::AppKey;

/// How the client wants to be talked to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    V0,
    V1,
    V2,
}

impl Protocol {
    fn word(self) -> &'static str {
        match self {
            Self::V0 => "version=0",
            Self::V1 => "version=1",
            Self::V2 => "version=2",
        }
    }
}

/// A branch or a tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedRef {
    pub name: String,
    pub object: String,
}

/// One answer on its way. Dropped, git is ended.
#[derive(Debug)]
pub struct Answering {
    running: Running,
    pub stdin: ChildStdin,
    pub stdout: ChildStdout,
    stderr: ChildStderr,
}

impl Answering {
    /// What is asked, what is answered, and what to wait for when all is answered.
    #[must_use]
    pub fn split(self) -> (ChildStdin, ChildStdout, Ending) {
        let Self { running, stdin, stdout, stderr } = self;
        (stdin, stdout, Ending { running, stderr })
    }
}

/// How git ended.
#[derive(Debug)]
pub struct Ending {
    running: Running,
    stderr: ChildStderr,
}

impl Ending {
    /// To be waited for beside the answer: what git says in its own defence has to be read.
    ///
    /// # Errors
    /// What git says.
    pub async fn ended(mut self) -> Result<(), HistoryError> {
        let said = read_said(self.stderr).await;
        self.running.ended(&said).await
    }
}

impl GitHistory {
    /// What there is to be cloned, as `upload-pack` tells it.
    ///
    /// # Errors
    /// When no history is kept, or git fails.
    pub async fn advertise(&self, key: &AppKey, protocol: Protocol) -> Result<Vec<u8>, HistoryError> {
        let repository = self.repository(key).await?;
        let args = ["upload-pack", "--stateless-rpc", "--advertise-refs", "."];
        let told = self.speaking(protocol)?.run(&repository, ("tell its branches", &args), Vec::new(), LIGHT).await;
        told.map_err(|error| explained(&repository, error))
    }

    /// Begins to answer one request of a client that reads.
    ///
    /// # Errors
    /// When no history is kept, or git cannot be started.
    pub async fn answer(&self, key: &AppKey, protocol: Protocol) -> Result<Answering, HistoryError> {
        let repository = self.repository(key).await?;
        let args = ["upload-pack", "--stateless-rpc", "."];
        let mut running = self.speaking(protocol)?.start(&repository, "send its versions", &args)?;
        let (stdin, stdout, stderr) = running.pipes()?;
        Ok(Answering { running, stdin, stdout, stderr })
    }

    fn speaking(&self, protocol: Protocol) -> Result<Git, HistoryError> {
        Ok(self.git()?.with("GIT_PROTOCOL", protocol.word()))
    }

    /// Its branches and tags, by name.
    ///
    /// # Errors
    /// When no history is kept, or git fails.
    pub async fn named(&self, key: &AppKey) -> Result<Vec<NamedRef>, HistoryError> {
        let repository = self.repository(key).await?;
        let args = ["for-each-ref", "--format=%(objectname) %(refname)", "refs/heads", "refs/tags"];
        let told = self.git()?.run(&repository, ("list its branches", &args), Vec::new(), LIGHT).await;
        let told = told.map_err(|error| explained(&repository, error))?;
        let text = String::from_utf8_lossy(&told);
        let named = |line: &str| {
            let (object, name) = line.split_once(' ')?;
            Some(NamedRef { name: name.to_owned(), object: object.to_owned() })
        };
        Ok(text.lines().filter_map(named).collect())
    }
}
