//! What the machine has of memory, and how much of it is kept free.

use std::fmt;
use std::str::FromStr;

use super::units::Bytes;

/// What the kernel says of the machine at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryReading {
    pub total: Bytes,
    /// What a new program could have without anything being swapped out.
    pub available: Bytes,
    /// How much of the last ten seconds somebody waited for memory, in hundredths of a percent; `None` where the kernel does not
    /// tell.
    pub pressure: Option<u32>,
}

impl MemoryReading {
    /// From `/proc/meminfo` and `/proc/pressure/memory`; the second may be empty.
    #[must_use]
    pub fn parse(meminfo: &[u8], pressure: &[u8]) -> Option<Self> {
        let kib = |name: &[u8]| {
            let rest = lines(meminfo).find_map(|line| line.strip_prefix(name))?;
            number(rest.trim_ascii_start()).map(|kib| Bytes(kib.saturating_mul(Bytes::KIB)))
        };
        Some(Self { total: kib(b"MemTotal:")?, available: kib(b"MemAvailable:")?, pressure: some_avg10(pressure) })
    }
}

/// Of the line `some avg10=12.34 avg60=…`.
fn some_avg10(text: &[u8]) -> Option<u32> {
    let rest = lines(text).find_map(|line| line.strip_prefix(b"some avg10="))?;
    let whole = number(rest)?;
    let rest = rest.get(rest.iter().position(|byte| *byte == b'.')? + 1..)?;
    u32::try_from(whole * 100 + number(rest.get(..2)?)?).ok()
}

fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|byte| *byte == b'\n')
}

/// The digits that a text begins with.
fn number(text: &[u8]) -> Option<u64> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit());
    digits.fold(None, |sum: Option<u64>, digit| sum.unwrap_or(0).checked_mul(10)?.checked_add(u64::from(digit - b'0')))
}

/// How much is kept free for Docker, the daemon and whatever else the machine does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemoryReserve {
    /// Of all that the machine has.
    Percent(u8),
    Bytes(Bytes),
}

impl MemoryReserve {
    #[must_use]
    pub fn of(self, total: Bytes) -> Bytes {
        match self {
            Self::Percent(percent) => Bytes(total.0 / 100 * u64::from(percent)),
            Self::Bytes(bytes) => bytes,
        }
    }
}

impl fmt::Display for MemoryReserve {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Percent(percent) => write!(f, "{percent}%"),
            Self::Bytes(bytes) => bytes.fmt(f),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is neither a part of the machine from `0%` to `90%` nor a size, for example `512m`")]
pub struct ReserveError;

impl FromStr for MemoryReserve {
    type Err = ReserveError;

    fn from_str(text: &str) -> Result<Self, ReserveError> {
        match text.strip_suffix('%') {
            Some(percent) => {
                percent.parse().ok().filter(|percent| *percent <= 90).map(Self::Percent).ok_or(ReserveError)
            }
            None => text.parse().map(Self::Bytes).map_err(|_| ReserveError),
        }
    }
}

/// A start that does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shortage {
    /// About what the app takes.
    pub needs: Bytes,
    /// What is left for it, less what those take that are starting.
    pub free: Bytes,
    pub reserve: Bytes,
}

impl Shortage {
    /// What is wrong, and what would help.
    #[must_use]
    pub fn message(&self) -> String {
        format!(
            "not enough memory to start it: it takes about {} MB beside the {} MB that are kept free for Docker and the rest of the \
             machine, and {} MB are free. It starts by itself when there is room: let sites sleep while nobody comes (`sleep: {{after: \
             30m}}` in their manifests, or DEFAULT_SLEEP_AFTER), stop one, or lower PAAS_MEMORY_RESERVE",
            mib(self.needs),
            mib(self.reserve),
            mib(self.free)
        )
    }

    /// So much would have to become free.
    #[must_use]
    pub fn lacks(&self) -> Bytes {
        Bytes((self.needs.0 + self.reserve.0).saturating_sub(self.free.0))
    }
}

fn mib(bytes: Bytes) -> u64 {
    bytes.0.div_ceil(Bytes::MIB)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEMINFO: &[u8] =
        b"MemTotal:        8054664 kB\nMemFree:          203184 kB\nMemAvailable:    1612428 kB\nBuffers: 1 kB\n";

    #[test]
    fn the_kernel_s_files_are_understood_and_what_is_missing_is_unknown() {
        let pressure =
            b"some avg10=12.05 avg60=3.40 avg300=0.80 total=71238\nfull avg10=1.00 avg60=0.00 avg300=0.00 total=9\n";
        let reading = MemoryReading::parse(MEMINFO, pressure).unwrap();
        let (total, available) = (Bytes(8_054_664 * 1024), Bytes(1_612_428 * 1024));
        assert_eq!(reading, MemoryReading { total, available, pressure: Some(1205) });
        assert_eq!(MemoryReading::parse(MEMINFO, b"").unwrap().pressure, None);
        for broken in [&b""[..], b"MemTotal: 8054664 kB\n", b"MemTotal: lots\nMemAvailable: 1 kB\n"] {
            assert_eq!(MemoryReading::parse(broken, pressure), None);
        }
    }

    #[test]
    fn a_reserve_is_a_part_or_a_size() {
        for (text, of_eight) in [("10%", 8 * Bytes::GIB / 100 * 10), ("0%", 0), ("512m", 512 << 20), ("0", 0)] {
            let reserve: MemoryReserve = text.parse().unwrap();
            assert_eq!((reserve.of(Bytes(8 * Bytes::GIB)).0, reserve.to_string()), (of_eight, text.to_owned()));
        }
        for wrong in ["91%", "-1%", "%", "ten", ""] {
            assert!(wrong.parse::<MemoryReserve>().is_err(), "{wrong}");
        }
    }
}
