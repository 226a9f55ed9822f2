//! Which version of Docker's API is spoken.

use std::fmt;
use std::str::FromStr;

use super::failure::Failure;

/// `major.minor` of Docker's API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ApiVersion {
    major: u32,
    minor: u32,
}

impl ApiVersion {
    const fn new(major: u32, minor: u32) -> Self {
        Self { major, minor }
    }
}

/// Docker 20.10: the first with a cgroup v2 that works and `CgroupVersion` in `info`.
const OLDEST: ApiVersion = ApiVersion::new(1, 41);
/// Docker 29. Newer engines still accept it; what they add is not used here.
const NEWEST: ApiVersion = ApiVersion::new(1, 52);

impl fmt::Display for ApiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

impl FromStr for ApiVersion {
    type Err = Failure;
    fn from_str(text: &str) -> Result<Self, Failure> {
        text.split_once('.')
            .and_then(|(major, minor)| Some(Self::new(major.parse().ok()?, minor.parse().ok()?)))
            .ok_or_else(|| Failure::Garbled(format!("`{}` is not an API version", text.escape_debug())))
    }
}

/// The highest version both sides speak.
///
/// # Errors
/// `Refused` when there is none; the message says which side to update.
pub(super) fn choose(engine: &str, newest: ApiVersion, oldest: Option<ApiVersion>) -> Result<ApiVersion, Failure> {
    if newest < OLDEST {
        return Err(Failure::Refused(format!(
            "Docker {engine} (API {newest}) is too old: install Docker 20.10 (API {OLDEST}) or newer"
        )));
    }
    match oldest {
        Some(oldest) if oldest > NEWEST => Err(Failure::Refused(format!(
            "Docker {engine} (API {oldest} or newer) is too new for this version of paas, which speaks API {NEWEST} \
             at most: update paas"
        ))),
        _ => Ok(newest.min(NEWEST)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_common_version_is_chosen() {
        for (newest, oldest, expected) in [
            ("1.41", Some("1.12"), Ok("1.41")),
            ("1.47", Some("1.24"), Ok("1.47")),
            ("1.52", Some("1.44"), Ok("1.52")),
            ("1.60", Some("1.44"), Ok("1.52")),
            ("1.60", Some("1.52"), Ok("1.52")),
            ("1.100", None, Ok("1.52")),
            ("2.0", Some("1.50"), Ok("1.52")),
            ("1.40", Some("1.12"), Err("too old")),
            ("1.9", None, Err("too old")),
            ("1.60", Some("1.53"), Err("too new")),
            ("2.1", Some("2.0"), Err("too new")),
        ] {
            let chosen = choose("X", newest.parse().unwrap(), oldest.map(|text| text.parse().unwrap()));
            match (chosen, expected) {
                (Ok(version), Ok(text)) => assert_eq!(version.to_string(), text, "{newest} {oldest:?}"),
                (Err(failure), Err(words)) => assert!(failure.to_string().contains(words), "{failure}"),
                (got, _) => panic!("{newest} {oldest:?}: {got:?}"),
            }
        }
    }

    #[test]
    fn what_is_no_version_is_refused() {
        for text in ["", "1", "1.", ".1", "1.x", "1.41.2", "-1.4"] {
            assert!(text.parse::<ApiVersion>().is_err(), "{text:?}");
        }
    }
}
