//! Where the settings come from: which file, and the process's environment.

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Bases, Problem, SettingProblem, dotenv, parse_env};
use crate::model::Settings;

/// Largest `.env` file in bytes.
const MAX_BYTES: usize = 64 << 10;

/// Looks up a variable of the process's environment.
pub type Env = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// The `.env` file and the environment around it.
#[derive(Clone)]
pub struct SettingsSource {
    /// Absolute.
    file: PathBuf,
    /// Somebody asked for this very file.
    named: bool,
    /// Absolute.
    cwd: PathBuf,
    env: Env,
}

impl fmt::Debug for SettingsSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SettingsSource").field("file", &self.file).finish_non_exhaustive()
    }
}

impl SettingsSource {
    /// `$PAAS_ENV_FILE`, else `/paas/.env`, else `./.env`. The last one is also what is watched for when none exists.
    pub fn of_process() -> io::Result<Self> {
        let env: Env = Arc::new(|name| std::env::var(name).ok());
        let cwd = std::env::current_dir()?;
        let named = env("PAAS_ENV_FILE").filter(|path| !path.is_empty());
        let is_named = named.is_some();
        let file = match named {
            Some(path) => cwd.join(path),
            None => Some(PathBuf::from("/paas/.env")).filter(|path| path.exists()).unwrap_or_else(|| cwd.join(".env")),
        };
        Ok(Self { file, named: is_named, cwd, env })
    }

    /// For tests and tools. Both paths must be absolute.
    pub fn new(file: PathBuf, cwd: PathBuf, env: Env) -> Self {
        Self { file, named: false, cwd, env }
    }

    /// That there is no such file, or nothing in it, is then a problem: the defaults are those of another installation, and
    /// whoever is just saving the file has emptied it for a moment.
    #[must_use]
    pub fn named(self) -> Self {
        Self { named: true, ..self }
    }

    #[must_use]
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Reads the file; one that does not exist is empty, unless it was [named](Self::named). The settings are usable only when there is no problem.
    /// Blocks for the time of reading a small file.
    pub fn read(&self) -> (Settings, Vec<SettingProblem>) {
        let name = self.file.display().to_string();
        let folder = self.file.parent().unwrap_or(&self.cwd);
        let bases = Bases { file: folder, process: &self.cwd };
        let parse = |text: &str| parse_env(text, &name, bases, &*self.env);
        match self.text().and_then(|text| self.not_missed(text)) {
            Ok(text) => parse(&text),
            Err((line, message)) => {
                let (settings, mut problems) = parse("");
                let (key, value) = (String::new(), String::new());
                problems.insert(0, SettingProblem { file: name, line, key, value, problem: Problem::File(message) });
                (settings, problems)
            }
        }
    }

    /// No such file, or one without a word: what an editor, a full disk or a slip leaves behind.
    pub(super) fn is_blank(&self) -> bool {
        self.text().is_ok_and(|text| text.trim().is_empty())
    }

    /// What there is to say when a file that had settings has none any more.
    pub(super) fn vanished(&self) -> SettingProblem {
        let message = "is gone or empty: put it back; until then the last good settings stay in force (for the defaults, \
                       stop the daemon and start it again)";
        SettingProblem {
            file: self.file.display().to_string(),
            line: 0,
            key: String::new(),
            value: String::new(),
            problem: Problem::File(message.to_owned()),
        }
    }

    /// Key and number of every assignment that can be read.
    pub(super) fn lines(&self) -> Vec<(String, u32)> {
        let text = self.text().unwrap_or_default();
        dotenv::lines(&text).0.into_iter().map(|line| (line.key, line.number)).collect()
    }

    /// Of the process's environment.
    pub(super) fn variable(&self, name: &str) -> Option<String> {
        (self.env)(name)
    }

    fn not_missed(&self, text: String) -> Result<String, (u32, String)> {
        if self.named && text.trim().is_empty() {
            let message = "is missing or empty, but was asked for: put it back, or ask for no settings file";
            return Err((0, message.to_owned()));
        }
        Ok(text)
    }

    fn text(&self) -> Result<String, (u32, String)> {
        let whole = |message: String| (0, message);
        let mut bytes = Vec::new();
        match File::open(&self.file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(String::new()),
            // It has secrets in it: opening it to others is no remedy.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                return Err(whole("belongs to another user: run this with sudo, or as that user".to_owned()));
            }
            Err(error) => {
                return Err(whole(format!("cannot be opened ({error}): look at the folders that lead to it")));
            }
            Ok(file) if file.metadata().is_ok_and(|metadata| !metadata.is_file()) => {
                return Err(whole("is not a file: put the settings into a plain file".to_owned()));
            }
            Ok(file) => {
                let read = file.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes);
                read.map_err(|error| whole(format!("cannot be read ({error}): check the disk")))?;
            }
        }
        if bytes.len() > MAX_BYTES {
            return Err(whole(format!("is larger than {} KiB: remove what is no setting", MAX_BYTES >> 10)));
        }
        let line_of =
            |index: usize| u32::try_from(bytes[..index].split(|byte| *byte == b'\n').count()).unwrap_or(u32::MAX);
        if let Some(index) = bytes.iter().position(|byte| *byte == 0) {
            return Err((line_of(index), "contains a zero byte: save it as plain text".to_owned()));
        }
        match std::str::from_utf8(&bytes) {
            Ok(text) => Ok(text.to_owned()),
            Err(error) => Err((line_of(error.valid_up_to()), "is not UTF-8 text: save it in that encoding".to_owned())),
        }
    }
}
