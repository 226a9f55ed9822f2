//! How many different visitors opened a page of a site today, without knowing who.
//!
//! A visitor is a number: the digest of address, browser and a salt that no other site and no other day has, and that is nowhere but
//! in memory. When the day ends it is overwritten, and nobody can tell any more whose number it was. Of many visitors even the
//! numbers are not kept: each then only raises one of [`REGISTERS`] small counters (`HyperLogLog`).

use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};

use hyper::header::{ACCEPT, CONTENT_TYPE, HeaderName, USER_AGENT};
use hyper::http::request::Parts;
use hyper::{HeaderMap, Method, StatusCode};
use sha2::{Digest as _, Sha256};

/// As many are counted exactly; above it to some 3 %.
const EXACT: usize = 256;
/// 2^10.
const REGISTERS: usize = 1024;
const REGISTER_BITS: u32 = REGISTERS.ilog2();

/// What programs that are no visitors call themselves, in small letters. Whoever sends no name is none either.
const ROBOTS: [&str; 22] = [
    "bot",
    "crawl",
    "spider",
    "slurp",
    "scrap",
    "scan",
    "monitor",
    "preview",
    "facebookexternalhit",
    "whatsapp",
    "curl",
    "wget",
    "python",
    "java/",
    "okhttp",
    "go-http",
    "node",
    "axios",
    "undici",
    "libwww",
    "http://",
    "https://",
];

const PURPOSES: [HeaderName; 2] = [HeaderName::from_static("sec-purpose"), HeaderName::from_static("purpose")];
const DESTINATION: HeaderName = HeaderName::from_static("sec-fetch-dest");

/// Of one site on one day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct VisitCount {
    /// Different ones, as far as address and browser tell.
    pub visitors: u64,
    /// Pages that they opened.
    pub pages: u64,
}

/// The salt of one site and one day. There is no way to read it.
#[derive(Clone, Copy)]
pub(super) struct Salt([u8; 32]);

impl Salt {
    /// `None` while the kernel has no random numbers: a salt that can be guessed is none.
    pub(super) fn fresh() -> Option<Self> {
        let mut bytes = [0; 32];
        let got = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty());
        (got == Ok(bytes.len())).then_some(Self(bytes))
    }

    /// Of version 6 everybody has many addresses: the network's part tells them apart.
    fn number(&self, address: IpAddr, agent: &[u8]) -> u64 {
        let address = match address {
            IpAddr::V4(address) => address.to_ipv6_mapped(),
            IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (!0 << 64)),
        };
        let digest = Sha256::new().chain_update(self.0).chain_update(address.octets()).chain_update(agent).finalize();
        u64::from_le_bytes(std::array::from_fn(|at| digest[at]))
    }
}

/// Whether this is somebody who opens a page, by what the request and its answer say.
pub(super) fn is_page_view(head: &Parts, status: StatusCode, headers: &HeaderMap) -> bool {
    if head.method != Method::GET || !(status.is_success() || status == StatusCode::NOT_MODIFIED) {
        return false;
    }
    let starts = |headers: &HeaderMap, name: HeaderName, with: &[u8]| {
        let value = headers.get(name).map_or(&[][..], |value| value.as_bytes());
        value.len() >= with.len() && value[..with.len()].eq_ignore_ascii_case(with)
    };
    // What has not changed does not say again what it is.
    if status != StatusCode::NOT_MODIFIED && !starts(headers, CONTENT_TYPE, b"text/html") {
        return false;
    }
    let asks = match head.headers.get(DESTINATION) {
        Some(destination) => destination == "document",
        None => starts(&head.headers, ACCEPT, b"text/html"),
    };
    // Fetched in advance, it may never be seen.
    asks && !PURPOSES.iter().any(|purpose| head.headers.contains_key(purpose)) && !is_robot(&head.headers)
}

/// By its own word.
fn is_robot(headers: &HeaderMap) -> bool {
    let agent = headers.get(USER_AGENT).map_or(&[][..], |agent| agent.as_bytes());
    let begins = |rest: &[u8], word: &str| {
        // Mostly the first letter differs.
        rest[0].to_ascii_lowercase() == word.as_bytes()[0]
            && rest.get(..word.len()).is_some_and(|part| part.eq_ignore_ascii_case(word.as_bytes()))
    };
    agent.is_empty() || (0..agent.len()).any(|at| ROBOTS.iter().any(|word| begins(&agent[at..], word)))
}

/// What one worker counts of one site today. The lock is held for some nanoseconds, and only whoever adds up waits for it.
#[derive(Default)]
pub(super) struct Today(Mutex<Counted>);

#[derive(Default)]
struct Counted {
    salt: Option<Salt>,
    pages: u64,
    seen: Seen,
}

impl std::fmt::Debug for Today {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Today").finish_non_exhaustive()
    }
}

impl Today {
    pub(super) fn new(salt: Option<Salt>) -> Self {
        Self(Mutex::new(Counted { salt, ..Counted::default() }))
    }

    pub(super) fn count(&self, address: IpAddr, head: &Parts) {
        let agent = head.headers.get(USER_AGENT).map_or(&[][..], |agent| agent.as_bytes());
        let mut counted = self.counted();
        let Some(salt) = counted.salt else { return };
        counted.pages += 1;
        counted.seen.add(salt.number(address, agent));
    }

    /// Another day: what was counted is forgotten, the salt as well.
    pub(super) fn begin(&self, salt: Option<Salt>) {
        *self.counted() = Counted { salt, ..Counted::default() };
    }

    fn counted(&self) -> MutexGuard<'_, Counted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What several workers have counted of one site.
pub(super) fn sum<'a>(parts: impl Iterator<Item = &'a Today>) -> VisitCount {
    let (mut all, mut pages) = (Seen::default(), 0);
    for part in parts {
        let counted = part.counted();
        pages += counted.pages;
        all.join(&counted.seen);
    }
    VisitCount { visitors: all.count(), pages }
}

enum Seen {
    /// In order.
    Few(Vec<u64>),
    Many(Box<[u8; REGISTERS]>),
}

impl Default for Seen {
    fn default() -> Self {
        Self::Few(Vec::new())
    }
}

impl Seen {
    fn add(&mut self, number: u64) {
        match self {
            Self::Few(numbers) => {
                let Err(place) = numbers.binary_search(&number) else { return };
                numbers.insert(place, number);
                if numbers.len() > EXACT {
                    let mut registers = Box::new([0; REGISTERS]);
                    for number in &*numbers {
                        raise(&mut registers, *number);
                    }
                    *self = Self::Many(registers);
                }
            }
            Self::Many(registers) => raise(registers, number),
        }
    }

    fn join(&mut self, other: &Self) {
        match other {
            Self::Few(numbers) => {
                for number in numbers {
                    self.add(*number);
                }
            }
            Self::Many(theirs) => {
                let mut joined = theirs.clone();
                match &*self {
                    Self::Few(numbers) => {
                        for number in numbers {
                            raise(&mut joined, *number);
                        }
                    }
                    Self::Many(own) => {
                        for (to, from) in joined.iter_mut().zip(own.iter()) {
                            *to = (*to).max(*from);
                        }
                    }
                }
                *self = Self::Many(joined);
            }
        }
    }

    /// Flajolet and others 2007; linear counting below two and a half times the registers.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an estimate"
    )]
    fn count(&self) -> u64 {
        let registers = match self {
            Self::Few(numbers) => return numbers.len() as u64,
            Self::Many(registers) => registers,
        };
        let all = REGISTERS as f64;
        let sum: f64 = registers.iter().map(|rank| 0.5_f64.powi(i32::from(*rank))).sum();
        let estimate = 0.7213 / (1.0 + 1.079 / all) * all * all / sum;
        let empty = registers.iter().map(|rank| f64::from(u8::from(*rank == 0))).sum::<f64>();
        let counted = if estimate <= 2.5 * all && empty > 0.0 { all * (all / empty).ln() } else { estimate };
        counted.round() as u64
    }
}

/// The place is chosen by the first bits; kept is how long a run of zeros the others began with.
fn raise(registers: &mut [u8; REGISTERS], number: u64) {
    let place = usize::try_from(number >> (u64::BITS - REGISTER_BITS)).unwrap_or(0);
    let rank = ((number << REGISTER_BITS) | (1 << (REGISTER_BITS - 1))).leading_zeros() + 1;
    registers[place] = registers[place].max(u8::try_from(rank).unwrap_or(u8::MAX));
}

#[cfg(test)]
mod tests {
    use hyper::Request;

    use super::*;

    const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";

    fn head(method: &str, headers: &[(&str, &str)]) -> Parts {
        let request = Request::builder().method(method).uri("/");
        headers
            .iter()
            .fold(request, |request, (name, value)| request.header(*name, *value))
            .body(())
            .unwrap()
            .into_parts()
            .0
    }

    fn answer(kind: &str) -> HeaderMap {
        HeaderMap::from_iter([(CONTENT_TYPE, kind.parse().unwrap())])
    }

    #[test]
    fn only_a_page_that_somebody_opens_is_a_visit() {
        let page = [("user-agent", FIREFOX), ("accept", "text/html,*/*"), ("sec-fetch-dest", "document")];
        let old = &page[..2];
        let ok = StatusCode::OK;
        for (what, method, headers, status, kind, want) in [
            ("a page", "GET", &page[..], ok, "text/html; charset=utf-8", true),
            ("a page, by an old browser", "GET", old, ok, "Text/HTML", true),
            ("not changed since", "GET", &page[..], StatusCode::NOT_MODIFIED, "", true),
            ("a form", "POST", &page[..], ok, "text/html", false),
            ("asked whether it is there", "HEAD", &page[..], ok, "text/html", false),
            ("moved", "GET", &page[..], StatusCode::FOUND, "text/html", false),
            ("missing", "GET", &page[..], StatusCode::NOT_FOUND, "text/html", false),
            ("a picture", "GET", &page[..], ok, "image/png", false),
            ("fetched by a script", "GET", &[("user-agent", FIREFOX), ("accept", "*/*")][..], ok, "text/html", false),
            (
                "a frame",
                "GET",
                &[("user-agent", FIREFOX), ("accept", "text/html"), ("sec-fetch-dest", "iframe")],
                ok,
                "text/html",
                false,
            ),
            ("in advance", "GET", &[page[0], page[1], page[2], ("sec-purpose", "prefetch")], ok, "text/html", false),
            ("nobody", "GET", &[("accept", "text/html")], ok, "text/html", false),
            (
                "a search engine",
                "GET",
                &[("user-agent", "Mozilla/5.0 (compatible; Googlebot/2.1)"), page[1]],
                ok,
                "text/html",
                false,
            ),
            (
                "another",
                "GET",
                &[("user-agent", "Mozilla/5.0 (compatible; Yeti/1.1; +https://naver.me/spd)"), page[1]],
                ok,
                "text/html",
                false,
            ),
            ("a program", "GET", &[("user-agent", "curl/8.5"), page[1]], ok, "text/html", false),
        ] {
            assert_eq!(is_page_view(&head(method, headers), status, &answer(kind)), want, "{what}");
        }
    }

    #[test]
    fn a_visitor_counts_once_a_day_whichever_worker_serves_it() {
        let salt = Salt::fresh();
        let workers = [Today::new(salt), Today::new(salt)];
        let firefox = head("GET", &[("user-agent", FIREFOX)]);
        let safari = head("GET", &[("user-agent", "Safari")]);
        let (here, there) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        for today in &workers {
            today.count(here, &firefox);
            today.count(here, &firefox);
        }
        workers[0].count(here, &safari);
        workers[1].count(there, &firefox);
        let count = || sum(workers.iter());
        assert_eq!(count(), VisitCount { visitors: 3, pages: 6 });
        // Another address of the same home.
        for address in ["2001:db8:1:2::1", "2001:db8:1:2:3:4:5:6", "2001:db8:1:3::1"] {
            workers[0].count(address.parse().unwrap(), &firefox);
        }
        assert_eq!(count().visitors, 5);
        let tomorrow = Salt::fresh();
        for today in &workers {
            today.begin(tomorrow);
        }
        assert_eq!(count(), VisitCount::default());
        let number = |salt: Option<Salt>| salt.unwrap().number(here, b"x");
        assert_ne!(number(salt), number(tomorrow), "nobody is known again");
    }

    #[test]
    fn a_crowd_is_counted_well_enough_in_a_kilobyte() {
        for crowd in [256_u32, 300, 1_000, 5_000, 200_000] {
            let mut parts = [Seen::default(), Seen::default()];
            let salt = Salt([7; 32]);
            for one in 0..crowd {
                let number = salt.number(IpAddr::from(one.to_be_bytes()), b"x");
                parts[one as usize % 2].add(number);
                // Many come again.
                parts[0].add(number);
            }
            let mut all = Seen::default();
            for part in &parts {
                all.join(part);
            }
            let found = all.count();
            let off = found.abs_diff(u64::from(crowd)) * 100 / u64::from(crowd);
            assert!(off <= 8 && (crowd > 256 || off == 0), "{found} instead of {crowd}");
            assert!(crowd <= 256 || matches!(all, Seen::Many(_)));
        }
    }
}
