//! Exit codes: part of the interface, told in every `--help`.

use std::process::ExitCode;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done, and the world has followed.
    Done,
    /// Something is wrong; a message says what.
    Failed,
    /// `plan`: something would be done.
    Changes,
    /// Written, but the world has not followed yet.
    NotYet,
    /// The command line itself is wrong.
    Usage,
}

impl Exit {
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Changes => 2,
            Self::NotYet => 3,
            Self::Usage => 64,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
