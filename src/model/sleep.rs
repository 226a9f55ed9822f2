//! When an app may sleep: its container is stopped, and the next request starts it again (SPEC §14).

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::names::AppKey;
use super::units::Seconds;

/// Below this the boot of an app would take longer than its sleep.
pub const MIN_SLEEP_AFTER: Seconds = Seconds(10);
pub const MAX_SLEEP_AFTER: Seconds = Seconds(7 * 24 * 3600);

/// How long an app may be without a visitor before it sleeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "SleepForm", into = "SleepForm")]
pub enum Sleep {
    #[default]
    Never,
    After(Seconds),
}

impl Sleep {
    /// `None`: it never sleeps.
    #[must_use]
    pub fn after(self) -> Option<Seconds> {
        match self {
            Self::Never => None,
            Self::After(after) => Some(after),
        }
    }

    #[must_use]
    pub fn is_accepted(self) -> bool {
        self.after().is_none_or(|after| (MIN_SLEEP_AFTER..=MAX_SLEEP_AFTER).contains(&after))
    }
}

/// As a manifest has it.
impl fmt::Display for Sleep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Never => f.write_str("never"),
            Self::After(after) => write!(f, "{{after: {after}}}"),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is neither `never` nor a time from {MIN_SLEEP_AFTER} to {MAX_SLEEP_AFTER}, for example `30m`")]
pub struct SleepError;

/// As a setting has it: `never`, or the time alone.
impl FromStr for Sleep {
    type Err = SleepError;

    fn from_str(text: &str) -> Result<Self, SleepError> {
        let sleep = match text {
            "never" => Self::Never,
            time => Self::After(time.parse().map_err(|_| SleepError)?),
        };
        sleep.is_accepted().then_some(sleep).ok_or(SleepError)
    }
}

/// Somebody wants an app that sleeps. Nothing in here tells who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wake {
    pub app: AppKey,
    /// Of the request, without what follows a `?`.
    pub path: Option<String>,
    /// What the program calls itself that sent it.
    pub agent: Option<String>,
}

/// How [`Sleep`] is written in manifests, templates and the inventory.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum SleepForm {
    Word(SleepWord),
    Group(SleepGroup),
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum SleepWord {
    /// It runs, visited or not.
    Never,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SleepGroup {
    /// Without a visitor for so long the site sleeps, `10s` to `168h`; the next request wakes it.
    after: Seconds,
}

impl TryFrom<SleepForm> for Sleep {
    type Error = SleepError;

    fn try_from(form: SleepForm) -> Result<Self, SleepError> {
        let sleep = match form {
            SleepForm::Word(SleepWord::Never) => Self::Never,
            SleepForm::Group(SleepGroup { after }) => Self::After(after),
        };
        sleep.is_accepted().then_some(sleep).ok_or(SleepError)
    }
}

impl From<Sleep> for SleepForm {
    fn from(sleep: Sleep) -> Self {
        match sleep {
            Sleep::Never => Self::Word(SleepWord::Never),
            Sleep::After(after) => Self::Group(SleepGroup { after }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_stored_as_it_is_written_in_a_manifest() {
        for (sleep, text) in [(Sleep::Never, r#""never""#), (Sleep::After(Seconds(1800)), r#"{"after":"30m"}"#)] {
            assert_eq!(serde_json::to_string(&sleep).unwrap(), text);
            assert_eq!(serde_json::from_str::<Sleep>(text).unwrap(), sleep);
        }
        for wrong in [r#""always""#, r#"{"after":"9s"}"#, r#"{"after":"169h"}"#, r#"{"afterr":"1h"}"#, "{}", "30"] {
            assert!(serde_json::from_str::<Sleep>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_setting_is_the_word_or_the_time() {
        for (text, want) in [
            ("never", Some(Sleep::Never)),
            ("10s", Some(Sleep::After(Seconds(10)))),
            ("168h", Some(Sleep::After(MAX_SLEEP_AFTER))),
            ("9s", None),
            ("", None),
            ("{after: 30m}", None),
            ("1d", None),
        ] {
            assert_eq!(text.parse::<Sleep>().ok(), want, "{text}");
        }
    }
}
