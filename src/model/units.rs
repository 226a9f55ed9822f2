//! Quantities with their units, and the small values that travel everywhere.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest as _, Sha256};

/// A quantity that could not be read. The message names the text and the accepted form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnitError {
    #[error("`{text}` is not a size: {remedy}", text = .0, remedy = size_meant(.0))]
    Bytes(String),
    #[error(
        "`{0}` is not a number of CPU cores: write a number above 0 with at most three decimals, for example `0.5`"
    )]
    Cpus(String),
    #[error("`{0}` is not a length of time: write a whole number with s, m or h, for example `90s`")]
    Seconds(String),
    #[error("`{0}` is not a restart policy: use `no`, `always`, `unless-stopped`, `on-failure` or `on-failure:3`")]
    Restart(String),
}

/// A size in bytes. Written with binary k, m, g as Docker does (`256m` = 268,435,456).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Bytes(pub u64);

impl Bytes {
    pub const KIB: u64 = 1 << 10;
    pub const MIB: u64 = 1 << 20;
    pub const GIB: u64 = 1 << 30;

    #[must_use]
    pub const fn mib(n: u64) -> Self {
        Self(n * Self::MIB)
    }

    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl FromStr for Bytes {
    type Err = UnitError;
    fn from_str(text: &str) -> Result<Self, UnitError> {
        let fail = || UnitError::Bytes(text.to_owned());
        let lower = text.trim().to_ascii_lowercase();
        let number_end = lower.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(lower.len());
        let (number, unit) = lower.split_at(number_end);
        let factor = match unit {
            "" | "b" => 1,
            "k" | "kb" | "ki" | "kib" => Self::KIB,
            "m" | "mb" | "mi" | "mib" => Self::MIB,
            "g" | "gb" | "gi" | "gib" => Self::GIB,
            _ => return Err(fail()),
        };
        let bytes = match number.split_once('.') {
            None => number.parse::<u64>().ok().and_then(|number| number.checked_mul(factor)),
            // Half a byte is a forgotten unit more often than a wish.
            Some(_) if factor == 1 => None,
            Some((whole, fraction)) => fractional(whole, fraction, factor),
        };
        // Docker counts in signed 64 bit.
        bytes.filter(|bytes| i64::try_from(*bytes).is_ok()).map(Self).ok_or_else(fail)
    }
}

/// What to write instead: of terabytes, the same in gigabytes.
fn size_meant(text: &str) -> String {
    let lower = text.trim().to_ascii_lowercase();
    let terabytes =
        ["tib", "tb", "ti", "t"].iter().find_map(|unit| lower.strip_suffix(unit)?.trim().parse::<u32>().ok());
    match terabytes {
        Some(number) => format!("did you mean `{}g`?", u64::from(number) * 1024),
        None => "write bytes with an optional k, m or g, for example `256m`".to_owned(),
    }
}

/// `whole.fraction` times `factor`, rounded down to a whole byte as Docker does. In whole numbers: a float would be off by some
/// bytes in large sizes.
fn fractional(whole: &str, fraction: &str, factor: u64) -> Option<u64> {
    const MOST_DIGITS: usize = 9;
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let fraction_digits = u32::try_from(fraction.len()).ok()?;
    if fraction.is_empty() || fraction.len() > MOST_DIGITS || !digits(fraction) || !digits(whole) {
        return None;
    }
    let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let part = fraction.parse::<u64>().ok()?.checked_mul(factor)? / 10_u64.pow(fraction_digits);
    whole.checked_mul(factor)?.checked_add(part)
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let n = self.0;
        match n {
            0 => write!(f, "0"),
            _ if n.is_multiple_of(Self::GIB) => write!(f, "{}g", n / Self::GIB),
            _ if n.is_multiple_of(Self::MIB) => write!(f, "{}m", n / Self::MIB),
            _ if n.is_multiple_of(Self::KIB) => write!(f, "{}k", n / Self::KIB),
            _ => write!(f, "{n}"),
        }
    }
}

/// CPU time in thousandths of one core.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MilliCpus(pub u32);

impl MilliCpus {
    /// Docker's `NanoCpus`.
    #[must_use]
    pub const fn nano(self) -> i64 {
        self.0 as i64 * 1_000_000
    }
}

impl FromStr for MilliCpus {
    type Err = UnitError;
    fn from_str(text: &str) -> Result<Self, UnitError> {
        let fail = || UnitError::Cpus(text.to_owned());
        let trimmed = text.trim();
        let (whole, fraction) = trimmed.split_once('.').unwrap_or((trimmed, ""));
        let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
        if (whole.is_empty() && fraction.is_empty()) || !digits(whole) || !digits(fraction) {
            return Err(fail());
        }
        let fraction = fraction.trim_end_matches('0');
        if fraction.len() > 3 {
            return Err(fail());
        }
        let whole: u32 = if whole.is_empty() { 0 } else { whole.parse().map_err(|_| fail())? };
        let milli: u32 = format!("{fraction:0<3}").parse().map_err(|_| fail())?;
        whole.checked_mul(1000).and_then(|w| w.checked_add(milli)).filter(|total| *total > 0).map(Self).ok_or_else(fail)
    }
}

impl fmt::Display for MilliCpus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{}.{:03}", self.0 / 1000, self.0 % 1000);
        f.write_str(text.trim_end_matches('0').trim_end_matches('.'))
    }
}

/// A length of time in whole seconds. Written with a unit (`90s`, `2m`, `1h`): a bare number would be read as minutes by some.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seconds(pub u32);

impl Seconds {
    #[must_use]
    pub const fn millis(self) -> i64 {
        self.0 as i64 * 1000
    }

    #[must_use]
    pub const fn duration(self) -> std::time::Duration {
        std::time::Duration::from_secs(self.0 as u64)
    }
}

impl FromStr for Seconds {
    type Err = UnitError;
    fn from_str(text: &str) -> Result<Self, UnitError> {
        let trimmed = text.trim();
        let number_end = trimmed.find(|c: char| !c.is_ascii_digit()).unwrap_or(trimmed.len());
        let (number, unit) = trimmed.split_at(number_end);
        let factor = match unit {
            "s" => Some(1),
            "m" => Some(60),
            "h" => Some(3600),
            _ => None,
        };
        let seconds = factor.and_then(|factor: u32| number.parse::<u32>().ok()?.checked_mul(factor));
        seconds.map(Self).ok_or_else(|| UnitError::Seconds(text.to_owned()))
    }
}

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            n if n > 0 && n.is_multiple_of(3600) => write!(f, "{}h", n / 3600),
            n if n > 0 && n.is_multiple_of(60) => write!(f, "{}m", n / 60),
            n => write!(f, "{n}s"),
        }
    }
}

/// Docker's restart policies; Docker itself carries them out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RestartPolicy {
    No,
    Always,
    UnlessStopped,
    /// Restart on a non-zero exit, at most so many times (`None` = for ever).
    OnFailure(Option<u32>),
}

impl FromStr for RestartPolicy {
    type Err = UnitError;
    fn from_str(text: &str) -> Result<Self, UnitError> {
        Ok(match text {
            "no" => Self::No,
            "always" => Self::Always,
            "unless-stopped" => Self::UnlessStopped,
            "on-failure" => Self::OnFailure(None),
            _ => {
                let count = text
                    .strip_prefix("on-failure:")
                    .and_then(|n| n.parse::<u32>().ok())
                    .filter(|n| (1..=1_000_000).contains(n));
                match count {
                    Some(n) => Self::OnFailure(Some(n)),
                    None => return Err(UnitError::Restart(text.to_owned())),
                }
            }
        })
    }
}

impl fmt::Display for RestartPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::No => f.write_str("no"),
            Self::Always => f.write_str("always"),
            Self::UnlessStopped => f.write_str("unless-stopped"),
            Self::OnFailure(None) => f.write_str("on-failure"),
            Self::OnFailure(Some(n)) => write!(f, "on-failure:{n}"),
        }
    }
}

/// Accepts a string, an integer or a float and hands its text to `FromStr`.
struct ScalarVisitor<T>(&'static str, std::marker::PhantomData<T>);

impl<T> de::Visitor<'_> for ScalarVisitor<T>
where
    T: FromStr,
    T::Err: fmt::Display,
{
    type Value = T;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }
    fn visit_u64<E: de::Error>(self, n: u64) -> Result<T, E> {
        n.to_string().parse().map_err(E::custom)
    }
    fn visit_i64<E: de::Error>(self, n: i64) -> Result<T, E> {
        n.to_string().parse().map_err(E::custom)
    }
    fn visit_f64<E: de::Error>(self, n: f64) -> Result<T, E> {
        n.to_string().parse().map_err(E::custom)
    }
}

macro_rules! scalar_serde {
    ($type:ty, $expecting:literal, $schema:tt) => {
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_any(ScalarVisitor($expecting, std::marker::PhantomData))
            }
        }
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

scalar_serde!(Bytes, "a size such as `256m`", {
    "oneOf": [{"type": "string", "pattern": "^([0-9]+[kKmMgG]?|[0-9]*\\.[0-9]{1,9}[kKmMgG])$"}, {"type": "integer", "minimum": 0}],
    "examples": ["256m", "1.5g"]
});
scalar_serde!(MilliCpus, "a number of cores such as `0.5`", {
    "oneOf": [{"type": "number", "minimum": 0.01}, {"type": "string", "pattern": "^[0-9]*(\\.[0-9]{1,3})?$"}],
    "examples": [0.5, 2]
});
scalar_serde!(Seconds, "a length of time such as `90s`", {
    "type": "string", "pattern": "^[0-9]+[smh]$", "examples": ["90s", "2m"]
});
scalar_serde!(RestartPolicy, "a restart policy such as `unless-stopped`", {
    "type": "string", "pattern": "^(no|always|unless-stopped|on-failure(:[1-9][0-9]*)?)$"
});

/// SHA-256 of some content, in lower-case hex.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Digest(String);

impl Digest {
    #[must_use]
    pub fn of(content: &[u8]) -> Self {
        Self(hex(&Sha256::digest(content)))
    }

    /// Takes a digest computed earlier, for example one read back from the store.
    #[must_use]
    pub fn from_hex(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// First twelve characters, for people.
    #[must_use]
    pub fn short(&self) -> &str {
        &self.0[..self.0.len().min(12)]
    }
}

/// Makes a digest of much, piece by piece. Fields carry their length, so no two sequences of fields are the same bytes.
#[derive(Debug, Default)]
pub struct DigestOf(Sha256);

impl DigestOf {
    pub fn field(&mut self, bytes: &[u8]) {
        self.begin(bytes.len() as u64);
        self.more(bytes);
    }

    /// A field of so many bytes, which [`more`](Self::more) brings.
    pub fn begin(&mut self, length: u64) {
        self.0.update(length.to_le_bytes());
    }

    pub fn more(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    #[must_use]
    pub fn finish(self) -> Digest {
        Digest(hex(&self.0.finalize()))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Lower-case hexadecimal.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    let digits = |byte: &u8| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]];
    bytes.iter().flat_map(digits).collect()
}

/// Wall-clock time in whole milliseconds since 1970-01-01 UTC; written as RFC 3339.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(pub i64);

impl JsonSchema for Timestamp {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Timestamp".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "format": "date-time", "examples": ["2026-11-22T10:00:00.000Z"]})
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(time) => write!(f, "{time:.3}"),
            Err(_) => write!(f, "{}ms", self.0),
        }
    }
}

impl FromStr for Timestamp {
    type Err = jiff::Error;
    fn from_str(text: &str) -> Result<Self, jiff::Error> {
        text.parse::<jiff::Timestamp>().map(|time| Self(time.as_millisecond()))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_and_write_the_way_docker_does() {
        for (text, bytes) in
            [("0", 0), ("512", 512), ("6m", 6 << 20), ("256M", 256 << 20), ("1g", 1 << 30), ("1k", 1024)]
        {
            assert_eq!(text.parse::<Bytes>().unwrap(), Bytes(bytes), "{text}");
        }
        assert_eq!(Bytes(256 << 20).to_string(), "256m");
        assert_eq!(Bytes(1 << 30).to_string(), "1g");
        assert_eq!(Bytes(1000).to_string(), "1000");
        for bad in ["", "m", "-1", "256 m", "99999999999g", "256x", "1e3"] {
            assert!(bad.parse::<Bytes>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn fractions_of_a_size_are_exact_to_the_byte() {
        for (text, bytes) in [
            ("1.5g", 3 << 29),
            ("0.25g", 1 << 28),
            (".5m", 1 << 19),
            ("1.50GiB", 3 << 29),
            // A tenth of a GiB is no whole number of bytes; Docker rounds down.
            ("0.1g", 107_374_182),
            // Far beyond what a float tells apart.
            ("8388607.999999999g", 9_007_199_254_740_990),
        ] {
            assert_eq!(text.parse::<Bytes>().unwrap(), Bytes(bytes), "{text}");
        }
        assert_eq!("1.5g".parse::<Bytes>().unwrap().to_string(), "1536m");
        for bad in [
            "1.5",
            "1.5b",
            "1.g",
            ".g",
            ".",
            "1.2.3g",
            "1,5g",
            "-0.5g",
            "1.5e3",
            "0.1234567890g",
            "1.5 g",
            "9999999999.5g",
        ] {
            assert!(bad.parse::<Bytes>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn cpus_are_exact_to_a_thousandth() {
        for (text, milli) in [("0.5", 500), ("1", 1000), ("2.25", 2250), (".1", 100), ("0.001", 1), ("1.5000", 1500)] {
            assert_eq!(text.parse::<MilliCpus>().unwrap(), MilliCpus(milli), "{text}");
        }
        assert_eq!(MilliCpus(500).to_string(), "0.5");
        assert_eq!(MilliCpus(2000).to_string(), "2");
        assert_eq!(MilliCpus(500).nano(), 500_000_000);
        for bad in ["", "0", "-1", "0.0001", "one", ".", "1,5", "99999999999"] {
            assert!(bad.parse::<MilliCpus>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn lengths_of_time_need_their_unit() {
        for (text, seconds, written) in
            [("90s", 90, "90s"), ("60s", 60, "1m"), ("2m", 120, "2m"), ("1h", 3600, "1h"), ("0s", 0, "0s")]
        {
            let read: Seconds = text.parse().unwrap();
            assert_eq!((read, read.to_string().as_str()), (Seconds(seconds), written), "{text}");
        }
        for bad in ["", "s", "90", "1.5m", "-1s", "1m30s", "90 s", "2d", "9999999999s", "2000000h"] {
            assert!(bad.parse::<Seconds>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn restart_policies_round_trip() {
        for text in ["no", "always", "unless-stopped", "on-failure", "on-failure:3"] {
            assert_eq!(text.parse::<RestartPolicy>().unwrap().to_string(), text);
        }
        for bad in ["never", "on-failure:", "on-failure:0", "on-failure:x", "Always", ""] {
            assert!(bad.parse::<RestartPolicy>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn timestamps_are_rfc_3339() {
        assert_eq!(Timestamp(0).to_string(), "1970-01-01T00:00:00.000Z");
        let time: Timestamp = "2026-11-22T10:00:00Z".parse().unwrap();
        assert_eq!(time.to_string().parse::<Timestamp>().unwrap(), time);
    }
}
