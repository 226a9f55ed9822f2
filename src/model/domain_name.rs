//! Further host names of apps: `www.example.kr`, `일기.한국`. Parsed once, valid ever after.

use std::fmt;
use std::str::FromStr;

use idna::AsciiDenyList;
use idna::uts46::{DnsLength, Hyphens, Uts46};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::settings::Settings;
use super::shown::Shown;

/// Why a text is no host name that an app could have besides its own. Each has the form "problem: remedy".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DomainNameError {
    #[error("`{0}` is not a host name: write one such as `www.example.kr`")]
    NotAName(String),
    #[error("`{0}` is an address or has a port: write the host name alone, for example `www.example.kr`")]
    Address(String),
    #[error("`{0}` stands for many names: write each of them, for example `www.example.kr`")]
    Wildcard(String),
    #[error("`{0}` has no dot, so no other machine finds it: write the whole name, for example `www.example.kr`")]
    OneLabel(String),
}

/// A host name of two labels or more, in lower case; one that is not of ASCII letters in the form that the DNS knows
/// (`xn--…`). No IP address, no wildcard, without the root's dot.
///
/// The order is that of the text, so lists of names are always told in the same one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DomainName(String);

/// An app has at most so many: a certificate names at most a hundred, and each costs a line of every table.
pub const MAX_DOMAINS: usize = 20;

/// Longer than any name in any script: nobody's time goes into converting it.
const LONGEST: usize = 1024;

impl DomainName {
    /// # Errors
    /// [`DomainNameError`] when the text is not such a name.
    pub fn parse(text: &str) -> Result<Self, DomainNameError> {
        let shown = || Shown::new(text).to_string();
        if text.contains('*') {
            return Err(DomainNameError::Wildcard(shown()));
        }
        if text.contains(['/', ':', '@', '?', '[']) {
            return Err(DomainNameError::Address(shown()));
        }
        if text.len() > LONGEST {
            return Err(DomainNameError::NotAName(shown()));
        }
        let name = text.strip_suffix('.').unwrap_or(text);
        let ascii = Uts46::new()
            .to_ascii(name.as_bytes(), AsciiDenyList::STD3, Hyphens::CheckFirstLast, DnsLength::Verify)
            .map_err(|_| DomainNameError::NotAName(shown()))?;
        let mut labels = ascii.rsplit('.');
        // What ends in a number is an IP address to every browser, in one notation or another.
        if labels.next().is_some_and(is_number) {
            return Err(DomainNameError::Address(shown()));
        }
        if labels.next().is_none() {
            return Err(DomainNameError::OneLabel(shown()));
        }
        Ok(Self(ascii.into_owned()))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// In its own script. What does not come back from there as it was, or could be taken for another name, stays as the DNS
    /// has it.
    #[must_use]
    pub fn readable(&self) -> String {
        let (text, result) = Uts46::new().to_unicode(self.0.as_bytes(), AsciiDenyList::STD3, Hyphens::CheckFirstLast);
        let is_plain = text.chars().all(|c| c.is_ascii() || is_of_one_script(&text));
        let is_same = result.is_ok() && is_plain && Self::parse(&text).as_ref() == Ok(self);
        if is_same { text.into_owned() } else { self.0.clone() }
    }

    /// For people: in its own script, and where that differs, as the DNS has it.
    #[must_use]
    pub fn told(&self) -> String {
        let readable = self.readable();
        if readable == self.0 { readable } else { format!("{readable} ({})", self.0) }
    }
}

fn is_number(label: &str) -> bool {
    let hex = label.strip_prefix("0x").is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_hexdigit()));
    hex || label.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether nobody takes it for a name of Latin letters: those of Cyrillic or Greek look alike, Hangul, Han and Kana do not.
fn is_of_one_script(text: &str) -> bool {
    let looks_like_latin = |c: char| matches!(u32::from(c), 0x80..=0x52F | 0x13A0..=0x13FF | 0x1D00..=0x1FFF | 0xAB30..=0xABBF | 0xA4D0..=0xA7FF);
    !text.chars().any(looks_like_latin)
}

impl fmt::Display for DomainName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for DomainName {
    type Err = DomainNameError;
    fn from_str(text: &str) -> Result<Self, DomainNameError> {
        Self::parse(text)
    }
}

impl TryFrom<String> for DomainName {
    type Error = DomainNameError;
    fn try_from(text: String) -> Result<Self, DomainNameError> {
        Self::parse(&text)
    }
}

impl From<DomainName> for String {
    fn from(name: DomainName) -> Self {
        name.0
    }
}

impl JsonSchema for DomainName {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "DomainName".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "minLength": 3, "maxLength": 1024, "examples": ["www.example.kr"]})
    }
}

/// Endings that the public DNS does not have: reserved for a machine or a home (RFC 6761, 6762, 8375; `internal` and `home` by
/// ICANN), or what home routers call theirs. The portal answers to every name below them.
pub const HOME: [&str; 7] = [".localhost", ".local", ".home.arpa", ".internal", ".home", ".lan", ".localdomain"];

/// Services whose names have an address in them: they lead to this machine already.
const BY_ADDRESS: [&str; 2] = [".nip.io", ".sslip.io"];

impl Settings {
    /// Whether a name belongs to the box itself, so that no app gets it: the domain and what is below it, and every name that the
    /// portal answers to. A browser gives a cookie to every port of a name: an app there would get the portal's sessions.
    /// `machine` is what the machine calls itself.
    #[must_use]
    pub fn is_name_of_the_box(&self, name: &DomainName, machine: &str) -> bool {
        let name = name.as_str();
        let below = |domain: &str| name.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
        below(&self.domain)
            || HOME.iter().chain(&BY_ADDRESS).any(|ending| name.ends_with(ending))
            || self.portal_hosts.iter().any(|host| host == name)
            || self.public_url.as_ref().is_some_and(|public| public.host == name)
            || machine.eq_ignore_ascii_case(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_kept_as_the_dns_knows_it_and_shown_in_its_own_script() {
        for (text, name, readable) in [
            ("www.example.kr", "www.example.kr", "www.example.kr"),
            ("WWW.Example.KR.", "www.example.kr", "www.example.kr"),
            ("일기.한국", "xn--ok0bs39b.xn--3e0b707e", "일기.한국"),
            ("XN--OK0BS39B.xn--3e0b707e", "xn--ok0bs39b.xn--3e0b707e", "일기.한국"),
            // As macOS writes Hangul, and in full-width letters.
            ("\u{110b}\u{1175}\u{11af}\u{1100}\u{1175}.한국", "xn--ok0bs39b.xn--3e0b707e", "일기.한국"),
            ("ｗｗｗ．example。kr", "www.example.kr", "www.example.kr"),
            ("日本語.example.jp", "xn--wgv71a119e.example.jp", "日本語.example.jp"),
            // Looks like another name: shown as it is.
            ("аррӏе.com", "xn--80ak6aa92e.com", "xn--80ak6aa92e.com"),
            ("r3---sn-x.example.com", "r3---sn-x.example.com", "r3---sn-x.example.com"),
        ] {
            let parsed = DomainName::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!((parsed.as_str(), parsed.readable().as_str()), (name, readable), "{text}");
            assert_eq!(DomainName::parse(&parsed.readable()), Ok(parsed));
        }
        assert_eq!(DomainName::parse("일기.한국").unwrap().told(), "일기.한국 (xn--ok0bs39b.xn--3e0b707e)");
    }

    #[test]
    fn what_is_no_name_of_an_app_is_refused() {
        let told = |text: &str| DomainName::parse(text).unwrap_err().to_string();
        for (text, want) in [
            ("*.example.kr", "stands for many names"),
            ("https://www.example.kr", "is an address or has a port"),
            ("www.example.kr:8080", "is an address or has a port"),
            ("192.168.0.5", "is an address or has a port"),
            ("1.2.3.0x7f", "is an address or has a port"),
            ("[::1]", "is an address or has a port"),
            ("mybox", "has no dot"),
            ("", "is not a host name"),
            (".", "is not a host name"),
            ("a..kr", "is not a host name"),
            ("-a.kr", "is not a host name"),
            ("a_b.kr", "is not a host name"),
            ("a b.kr", "is not a host name"),
            ("a.kr..", "is not a host name"),
            ("xn--a.kr", "is not a host name"),
        ] {
            assert!(told(text).contains(want), "{text}: {}", told(text));
        }
        for long in [format!("{}.kr", "a".repeat(64)), format!("{}kr", "abc.".repeat(70)), "가".repeat(500)] {
            assert!(told(&long).contains("is not a host name"), "{long}");
        }
    }

    #[test]
    fn names_of_the_box_are_known() {
        let mut settings = Settings::defaults("/paas");
        settings.domain = "apps.example.org".to_owned();
        settings.portal_hosts = vec!["nas.example.org".to_owned()];
        settings.public_url = "https://my.example.net".parse().ok();
        let of_the_box = |name: &str| settings.is_name_of_the_box(&DomainName::parse(name).unwrap(), "box.example.com");
        for name in [
            "apps.example.org",
            "portal.apps.example.org",
            "a.b.apps.example.org",
            "nas.example.org",
            "my.example.net",
            "Box.Example.com",
            "mybox.lan",
            "x.home.arpa",
            "bob-diary.192.168.0.5.nip.io",
        ] {
            assert!(of_the_box(name), "{name}");
        }
        for name in ["www.example.org", "xapps.example.org", "www.nas.example.org", "example.org", "lan.kr"] {
            assert!(!of_the_box(name), "{name}");
        }
    }
}
