//! Names of users, apps and templates: parsed once, valid ever after.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::shown::Shown;

/// Why a name was refused. The message says which name ([`Shown`]), what is wrong and what would be right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    #[error(
        "user id `{0}` is not valid: use 3 to 20 lower-case letters and digits, starting with a letter, for example `alice`"
    )]
    User(String),
    #[error(
        "app name `{0}` is not valid: use 3 to 30 lower-case letters, digits and hyphens, starting with a letter and not ending with a hyphen, for example `my-diary`"
    )]
    App(String),
    #[error(
        "user id `{0}` is reserved: an address that begins with it would look like the platform's own; take another, for example `alice`"
    )]
    Reserved(String),
    #[error(
        "app name `{0}` is reserved: at the address of an app whose name ends in `--preview` another app is looked at before its visitors see it; leave that ending out"
    )]
    Preview(String),
    #[error("`{0}` is not an app: write `userid-appname`, for example `alice-my-diary`")]
    Key(String),
    #[error(
        "template id `{0}` is not valid: use 2 to 40 lower-case letters, digits and hyphens, starting with a letter, for example `diary-v1`"
    )]
    Template(String),
}

/// User ids that no new app may have: host names that begin so would pass for the platform's own pages.
const RESERVED_USERS: [&str; 7] = ["admin", "api", "login", "paas", "portal", "root", "www"];

/// What the address of an app's preview ends in, before the domain.
const PREVIEW: &str = "--preview";

/// `^[a-z][a-z0-9]*$` (plus hyphens inside where allowed) within the given length.
fn is_name(text: &str, min: usize, max: usize, hyphens: bool) -> bool {
    (min..=max).contains(&text.len())
        && text.as_bytes()[0].is_ascii_lowercase()
        && !text.ends_with('-')
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || (hyphens && b == b'-'))
}

/// The closest of the candidates, if it is close enough to be a slip of the fingers. Never what was typed: who reads "did you
/// mean" it looks for a difference that is not there.
#[must_use]
pub fn closest<'a>(typed: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .into_iter()
        .filter(|candidate| *candidate != typed)
        .map(|candidate| (strsim::jaro_winkler(typed, candidate), candidate))
        .filter(|(likeness, _)| *likeness >= 0.85)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

macro_rules! name_type {
    ($(#[$doc:meta])* $type:ident, $error:ident, $min:literal..=$max:literal, hyphens: $hyphens:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $type(String);

        impl $type {
            /// # Errors
            /// [`NameError`] when the text is not such a name.
            pub fn parse(text: &str) -> Result<Self, NameError> {
                if is_name(text, $min, $max, $hyphens) {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(NameError::$error(Shown::new(text).to_string()))
                }
            }

            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $type {
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, NameError> {
                Self::parse(text)
            }
        }
        impl TryFrom<String> for $type {
            type Error = NameError;
            fn try_from(text: String) -> Result<Self, NameError> {
                Self::parse(&text)
            }
        }
        impl From<$type> for String {
            fn from(name: $type) -> String {
                name.0
            }
        }
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name_type!(
    /// Owner of an app: `^[a-z][a-z0-9]{2,19}$`. It has no hyphen, so `alice-my-diary` splits in only one way.
    UserId, User, 3..=20, hyphens: false
);
name_type!(
    /// Name of an app: `^[a-z][a-z0-9-]{2,29}$` without a trailing hyphen (it would be an illegal DNS label).
    AppName, App, 3..=30, hyphens: true
);
name_type!(
    /// Folder name of a template under `templates/`.
    TemplateId, Template, 2..=40, hyphens: true
);

impl TemplateId {
    /// Where nobody knows it any more.
    #[must_use]
    pub fn unknown() -> Self {
        Self("unknown".to_owned())
    }
}

macro_rules! name_schema {
    ($type:ident, $schema:tt) => {
        impl JsonSchema for $type {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($type).into()
            }
            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!($schema)
            }
        }
    };
}

name_schema!(UserId, {"type": "string", "pattern": "^[a-z][a-z0-9]{2,19}$", "examples": ["alice"]});
name_schema!(AppName, {"type": "string", "pattern": "^[a-z][a-z0-9-]{1,28}[a-z0-9]$", "examples": ["diary"]});
name_schema!(TemplateId, {"type": "string", "pattern": "^[a-z][a-z0-9-]{0,38}[a-z0-9]$"});
name_schema!(AppKey, {
    "type": "string", "pattern": "^[a-z][a-z0-9]{2,19}-[a-z][a-z0-9-]{1,28}[a-z0-9]$", "examples": ["alice-diary"]
});

/// Identity of an app: `{userid}-{appname}`, which is also the stem of its manifest's file name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AppKey {
    pub user: UserId,
    pub app: AppName,
}

impl AppKey {
    #[must_use]
    pub fn new(user: UserId, app: AppName) -> Self {
        Self { user, app }
    }

    /// Splits `alice-my-diary` at its first hyphen.
    ///
    /// # Errors
    /// [`NameError`] naming the part that is wrong.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let (user, app) = text.split_once('-').ok_or_else(|| NameError::Key(Shown::new(text).to_string()))?;
        Ok(Self::new(UserId::parse(user)?, AppName::parse(app)?))
    }

    /// That a new app may have this name. One that is there already goes on under any name.
    ///
    /// # Errors
    /// [`NameError::Reserved`] when its address would be taken for the platform's own: the user id is [`RESERVED_USERS`], or
    /// reads like one (`p0rtal`, `adm1n`). [`NameError::Preview`] when it is the address of another app's preview.
    pub fn allowed_for_new(&self) -> Result<(), NameError> {
        if self.app.as_str().ends_with(PREVIEW) {
            return Err(NameError::Preview(self.app.to_string()));
        }
        let user = self.user.as_str();
        let reads_like = |one: char| -> String {
            let letter = |c| match c {
                '0' => 'o',
                '1' => one,
                '3' => 'e',
                '4' => 'a',
                '5' => 's',
                other => other,
            };
            user.chars().map(letter).collect()
        };
        if RESERVED_USERS.iter().any(|name| *name == reads_like('l') || *name == reads_like('i')) {
            return Err(NameError::Reserved(user.to_owned()));
        }
        Ok(())
    }

    /// Docker name of the app's container.
    #[must_use]
    pub fn container_name(&self) -> String {
        format!("paas-app-{self}")
    }

    /// Docker name of the successor while it is proving itself beside the running container. The dot cannot occur in an
    /// app name, so this never is another app's container.
    #[must_use]
    pub fn next_container_name(&self) -> String {
        format!("paas-app-{self}.next")
    }

    /// Docker name of the predecessor while its replacement in place is proving itself (direct mode).
    #[must_use]
    pub fn previous_container_name(&self) -> String {
        format!("paas-app-{self}.prev")
    }

    /// Host name the app answers at.
    #[must_use]
    pub fn host(&self, domain: &str) -> String {
        format!("{self}.{domain}")
    }

    /// Docker name of the container that shows other code than the app's visitors see.
    #[must_use]
    pub fn preview_container_name(&self) -> String {
        format!("paas-app-{self}.preview")
    }

    /// Host name that one answers at.
    #[must_use]
    pub fn preview_host(&self, domain: &str) -> String {
        format!("{self}{PREVIEW}.{domain}")
    }

    /// The app whose preview an app of this name would be taken for.
    #[must_use]
    pub fn taken_for_preview_of(&self) -> Option<Self> {
        let app = self.app.as_str().strip_suffix(PREVIEW)?;
        AppName::parse(app).ok().map(|app| Self::new(self.user.clone(), app))
    }

    #[must_use]
    pub fn file_name(&self) -> String {
        format!("{self}.yaml")
    }
}

impl fmt::Display for AppKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.user, self.app)
    }
}
impl FromStr for AppKey {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::parse(text)
    }
}
impl TryFrom<String> for AppKey {
    type Error = NameError;
    fn try_from(text: String) -> Result<Self, NameError> {
        Self::parse(&text)
    }
}
impl From<AppKey> for String {
    fn from(key: AppKey) -> String {
        key.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_splits_at_its_first_hyphen_only() {
        let key = AppKey::parse("alice-my-diary").unwrap();
        assert_eq!((key.user.as_str(), key.app.as_str()), ("alice", "my-diary"));
        assert_eq!(key.container_name(), "paas-app-alice-my-diary");
        assert_eq!(key.host("example.org"), "alice-my-diary.example.org");
    }

    #[test]
    fn a_new_app_must_not_pass_for_the_platform() {
        for bad in
            ["portal-login", "admin-x12", "www-site", "login-now", "paas-one", "api-docs", "root-one", "p0rtal-x12"]
        {
            let key = AppKey::parse(bad).unwrap();
            assert!(matches!(key.allowed_for_new(), Err(NameError::Reserved(_))), "{bad}");
        }
        for bad in ["adm1n-one", "1ogin-one", "log1n-one", "porta1-one", "r00t-one"] {
            assert!(AppKey::parse(bad).is_err() || AppKey::parse(bad).unwrap().allowed_for_new().is_err(), "{bad}");
        }
        for good in ["alice-portal", "portals-one", "wwww-one", "apis-one", "bob-admin", "demo-diary"] {
            assert_eq!(AppKey::parse(good).unwrap().allowed_for_new(), Ok(()), "{good}");
        }
    }

    #[test]
    fn no_new_app_has_the_address_of_a_preview() {
        let key = AppKey::parse("alice-diary--preview").unwrap();
        assert!(matches!(key.allowed_for_new(), Err(NameError::Preview(_))));
        let diary = AppKey::parse("alice-diary").unwrap();
        assert_eq!(key.host("example.org"), diary.preview_host("example.org"));
        assert_eq!(key.taken_for_preview_of(), Some(diary));
        for other in ["alice-preview", "alice-diary-preview", "alice-diary--previews"] {
            let key = AppKey::parse(other).unwrap();
            assert_eq!((key.allowed_for_new(), key.taken_for_preview_of()), (Ok(()), None), "{other}");
        }
        // One label of a host name has 63 letters at most.
        let longest = AppKey::parse(&format!("{}-{}", "a".repeat(20), "b".repeat(30))).unwrap();
        assert!(longest.preview_host("").trim_end_matches('.').len() <= 63);
    }

    #[test]
    fn names_outside_the_rules_are_refused() {
        for bad in ["al", "1alice", "Alice", "al-ice", "a23456789012345678901", "", "ali_ce", "앨리스"] {
            assert!(UserId::parse(bad).is_err(), "user {bad:?}");
        }
        for bad in ["my", "diary-", "-diary", "My-diary", "d".repeat(31).as_str(), "", "a.b.c"] {
            assert!(AppName::parse(bad).is_err(), "app {bad:?}");
        }
        for bad in ["alice", "alice-", "-diary", "al-diary", "alice-di"] {
            assert!(AppKey::parse(bad).is_err(), "key {bad:?}");
        }
    }
}
