//! The first sign-in of an installation: `admin` with the password that everybody knows.
//!
//! A password that everybody knows proves nothing, so until it is changed the place from which somebody signs in counts as
//! well: on this very machine nothing more is asked, on its private network the first word, from anywhere else nobody gets in.
//! Whoever may read the daemon's files or its log has the word; an app in its container has not.
//!
//! A password of `paas admin reset-password` is a secret already: with it none of this is asked.
//!
//! The word lies in a file, and in clear, because it has to be shown again: after a restart, and to whoever has lost it.

use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::net::IpAddr;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use super::error::{Failure, FirstRefusal};
use super::password::Password;
use super::secret::{self, Secret};
use crate::store::accounts::User;

/// The user that the first start makes.
pub const FIRST_USER: &str = "admin";

/// Their password until they change it. No rule lets anybody choose it again.
pub(super) const FIRST_PASSWORD: &str = "admin";

/// Somebody who wants to sign in, apart from name and password.
#[derive(Debug, Clone, Copy)]
pub struct Visit<'a> {
    /// Whose guesses are counted.
    pub from: IpAddr,
    pub place: Place,
    /// As it was typed. Not looked at where it is not asked for.
    pub first_word: Option<&'a str>,
    /// Of the second step, as it was typed. Not looked at where there is none.
    pub code: Option<&'a str>,
    /// What the browser or program calls itself, for the list of sessions.
    pub agent: Option<&'a str>,
}

impl Visit<'_> {
    /// On this very machine.
    #[must_use]
    pub fn here(from: IpAddr) -> Self {
        Self { from, place: Place::ThisMachine, first_word: None, code: None, agent: None }
    }
}

/// Where somebody is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    ThisMachine,
    /// A private or link-local address, as homes have them.
    PrivateNetwork,
    Elsewhere,
    /// A proxy speaks for them that does not tell where they are, or is not believed.
    Unknown,
}

impl Place {
    /// Of somebody on another machine.
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        let private = match address.to_canonical() {
            IpAddr::V4(address) => address.is_private() || address.is_link_local(),
            IpAddr::V6(address) => address.is_unique_local() || address.is_unicast_link_local(),
        };
        if private { Self::PrivateNetwork } else { Self::Elsewhere }
    }
}

/// Whether this right password is the one that everybody knows.
pub(super) fn is_first(user: &User, password: &str) -> bool {
    user.must_change && user.name == FIRST_USER && Password::is_same(password, FIRST_PASSWORD)
}

/// Whether somebody may sign in with it.
pub(super) fn admit(visit: &Visit<'_>, file: &Path) -> Result<(), AdmitError> {
    match (visit.place, visit.first_word) {
        (Place::ThisMachine, _) => Ok(()),
        (Place::PrivateNetwork, None) => Err(FirstRefusal::WordNeeded.into()),
        (Place::PrivateNetwork, Some(given)) => {
            // A few bytes, and only after the password was right.
            let word = read(file).map_err(|error| AdmitError::Failed(failure(file, &error)))?;
            // None: somebody has removed it. `paas init` makes another, without a restart.
            let right = word.is_some_and(|word| secret::same(&bare(word.reveal()), &bare(given)));
            if right { Ok(()) } else { Err(FirstRefusal::WrongWord.into()) }
        }
        (Place::Elsewhere, _) => Err(FirstRefusal::Elsewhere.into()),
        (Place::Unknown, _) => Err(FirstRefusal::BehindProxy.into()),
    }
}

pub(super) enum AdmitError {
    Refused(FirstRefusal),
    Failed(Failure),
}

impl From<FirstRefusal> for AdmitError {
    fn from(refusal: FirstRefusal) -> Self {
        Self::Refused(refusal)
    }
}

/// The word of this installation; made if there is none, or none that could be one. Several processes at once agree on one.
///
/// # Crash
/// The file has the whole word, or is not there.
pub(super) fn read_or_make(file: &Path) -> Result<Secret, Failure> {
    let failed = |error: io::Error| failure(file, &error);
    // Whoever loses a race reads what the other has made; the second failure in a row is none of a race.
    for _ in 0..2 {
        if let Some(word) = read(file).map_err(failed)? {
            return Ok(word);
        }
        let word = Secret::first_word()?;
        if make(file, &word).map_err(failed)? {
            return Ok(word);
        }
    }
    Err(failed(ErrorKind::AlreadyExists.into()))
}

/// Removes it; that there is none is no error.
pub(super) fn forget(file: &Path) -> Result<(), Failure> {
    match std::fs::remove_file(file) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(failure(file, &error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn failure(file: &Path, error: &io::Error) -> Failure {
    Failure::FirstWord { file: file.to_owned(), why: error.to_string() }
}

fn read(file: &Path) -> io::Result<Option<Secret>> {
    match std::fs::read(file) {
        Ok(bytes) => Ok(std::str::from_utf8(&bytes).ok().and_then(|text| Secret::of_first_word(text.trim()))),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether it is there now; `false`: somebody was faster.
fn make(file: &Path, word: &Secret) -> io::Result<bool> {
    let folder = file.parent().unwrap_or(Path::new("."));
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let half_made = file.with_extension(format!("new-{}", std::process::id()));
    let written = write(&half_made, word).and_then(|()| put(&half_made, file));
    // Whatever became of it: its content is a word that may be in force.
    let _ = std::fs::remove_file(&half_made);
    written
}

fn write(file: &Path, word: &Secret) -> io::Result<()> {
    match std::fs::remove_file(file) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut open = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?;
    open.write_all(format!("{}\n", word.reveal()).as_bytes())?;
    open.sync_all()
}

/// Never over a word that is good: it may have been shown already.
fn put(half_made: &Path, file: &Path) -> io::Result<bool> {
    match std::fs::hard_link(half_made, file) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
        Err(_) if read(file)?.is_some() => Ok(false),
        Err(_) => std::fs::rename(half_made, file).map(|()| true),
    }
}

/// What counts of a word: people write groups with other signs between them, or none, and phones begin with a capital.
fn bare(word: &str) -> String {
    word.chars().filter(char::is_ascii_alphanumeric).map(|letter| letter.to_ascii_lowercase()).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn only_addresses_of_a_home_are_on_the_private_network() {
        use Place::{Elsewhere, PrivateNetwork};
        for (address, place) in [
            ("10.201.0.7", PrivateNetwork),
            ("172.16.0.1", PrivateNetwork),
            ("172.31.255.255", PrivateNetwork),
            ("192.168.0.5", PrivateNetwork),
            ("169.254.1.1", PrivateNetwork),
            ("fd00::5", PrivateNetwork),
            ("fe80::1", PrivateNetwork),
            ("::ffff:192.168.0.5", PrivateNetwork),
            ("172.32.0.1", Elsewhere),
            ("192.169.0.1", Elsewhere),
            ("100.64.0.1", Elsewhere),
            ("203.0.113.9", Elsewhere),
            ("2001:db8::1", Elsewhere),
            ("fec0::1", Elsewhere),
            ("::ffff:203.0.113.9", Elsewhere),
            ("0.0.0.0", Elsewhere),
            // Only doors know who is on this machine.
            ("127.0.0.1", Elsewhere),
            ("::1", Elsewhere),
        ] {
            assert_eq!(Place::of(address.parse().unwrap()), place, "{address}");
        }
    }

    #[test]
    fn the_word_is_read_as_people_write_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("run/first-word");
        let word = read_or_make(&file).unwrap();
        let word = word.reveal();
        let admitted = |given: &str| {
            let visit = Visit {
                from: [192, 168, 0, 9].into(),
                place: Place::PrivateNetwork,
                first_word: Some(given),
                code: None,
                agent: None,
            };
            admit(&visit, &file).is_ok()
        };
        for same in [word, &word.to_uppercase(), &word.replace('-', " "), &word.replace('-', ""), &format!(" {word}\n")]
        {
            assert!(admitted(same), "{same:?}");
        }
        for other in ["", "-", &word[1..], &format!("{word}0"), &word.replace(&word[..1], "한")] {
            assert!(!admitted(other), "{other:?}");
        }
        // Somebody has removed it: then nothing is the word, not even nothing.
        forget(&file).unwrap();
        forget(&file).unwrap();
        assert!(!admitted("") && !admitted(word));
    }

    #[test]
    fn the_word_stays_the_same_and_what_is_none_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("run/first-word");
        let word = read_or_make(&file).unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&file), mode(file.parent().unwrap())), (0o600, 0o700));
        assert_eq!(read_or_make(&file).unwrap(), word);
        for damaged in [&b""[..], b"\n", b"abcd-abcd-abcd", b"\xff\xfe", b"illo-illo-illo-illo\n"] {
            OpenOptions::new().write(true).truncate(true).open(&file).unwrap().write_all(damaged).unwrap();
            let other = read_or_make(&file).unwrap();
            assert_ne!(other, word);
            assert_eq!((read_or_make(&file).unwrap(), mode(&file)), (other, 0o600), "{damaged:?}");
        }
        let names: Vec<_> =
            std::fs::read_dir(file.parent().unwrap()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["first-word"], "nothing else is left there");
    }

    #[test]
    fn many_at_once_agree_on_one_word() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("run/first-word");
        let theirs = Secret::first_word().unwrap();
        std::fs::create_dir(file.parent().unwrap()).unwrap();
        write(&file, &theirs).unwrap();
        let ours = file.with_extension("new-0");
        write(&ours, &Secret::first_word().unwrap()).unwrap();
        assert!(!put(&ours, &file).unwrap(), "it would have replaced a word that was shown");
        assert_eq!(read_or_make(&file).unwrap(), theirs);
    }
}
