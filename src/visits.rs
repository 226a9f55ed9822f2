//! How many visitors each site had on each of the last days: what the gateway counts today, and a small file for the days before.
//!
//! | task | owns | stops |
//! |---|---|---|
//! | [`Visits::keep`] | when a day ends; the file's only writer | on cancel, after a last write |
//!
//! Two numbers for a site and a day are all that is ever written: no address, no name of a browser, nothing that either could be
//! told from (see `gateway::visits`).
//!
//! # Crash
//! Loses what was counted since the last write, a minute at most. The salt of the day goes with every stop, so whoever comes on the
//! same day before and after one counts twice.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Span, Zoned};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::folders::write_atomic;
use crate::gateway::{TrafficStats, VisitCount};
use crate::model::AppKey;

/// How many days are kept, today included.
pub const DAYS: usize = 30;

const WRITE_EVERY: Duration = Duration::from_secs(60);
/// A thousand sites of thirty days each; a larger file was not written here.
const MAX_BYTES: u64 = 4 << 20;

/// Whoever counts today's visits.
pub trait Counting: Send + Sync + 'static {
    /// Sites that had any, since the day or the counting began.
    fn visits(&self) -> BTreeMap<AppKey, VisitCount>;
    /// Everybody counts anew.
    fn begin_day(&self);
}

impl Counting for TrafficStats {
    fn visits(&self) -> BTreeMap<AppKey, VisitCount> {
        Self::visits(self)
    }
    fn begin_day(&self) {
        Self::begin_day(self);
    }
}

/// One day of a site.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Day {
    pub day: Date,
    pub count: VisitCount,
}

/// The file: by site, by day, visitors and pages.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Ledger {
    sites: BTreeMap<AppKey, BTreeMap<Date, (u64, u64)>>,
}

/// What is known of a site today. The gateway forgets when it restarts, or the site was away: then it counts from nothing again.
#[derive(Debug, Clone, Copy, Default)]
struct Today {
    /// Counted before the gateway last began anew.
    before: VisitCount,
    seen: VisitCount,
}

impl Today {
    fn all(self) -> VisitCount {
        let Self { before, seen } = self;
        VisitCount { visitors: before.visitors + seen.visitors, pages: before.pages + seen.pages }
    }
}

#[derive(Debug)]
struct Known {
    day: Date,
    today: BTreeMap<AppKey, Today>,
    is_written: bool,
}

/// The counts; shared by the task that keeps them and whoever asks.
pub struct Visits {
    file: PathBuf,
    stats: Arc<dyn Counting>,
    clock: Arc<dyn Clock>,
    zone: TimeZone,
    known: Mutex<Known>,
}

impl std::fmt::Debug for Visits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Visits").field("file", &self.file).finish_non_exhaustive()
    }
}

impl Visits {
    /// Goes on with what `file` says of today. Its folder exists. Days are those of the machine's time zone.
    #[must_use]
    pub fn open(file: PathBuf, stats: Arc<dyn Counting>, clock: Arc<dyn Clock>) -> Self {
        Self::at(file, stats, clock, TimeZone::system())
    }

    /// [`Visits::open`] with the days of another time zone.
    #[must_use]
    pub fn at(file: PathBuf, stats: Arc<dyn Counting>, clock: Arc<dyn Clock>, zone: TimeZone) -> Self {
        let day = day_of(&*clock, &zone);
        let ledger = read(&file).unwrap_or_else(|error| {
            let file = file.display();
            tracing::warn!(%error, "the visits of the last days in {file} cannot be read: check the disk, then restart");
            Ledger::default()
        });
        let counted = |days: BTreeMap<Date, (u64, u64)>| {
            let (visitors, pages) = *days.get(&day)?;
            Some(Today { before: VisitCount { visitors, pages }, seen: VisitCount::default() })
        };
        let today = ledger.sites.into_iter().filter_map(|(app, days)| Some((app, counted(days)?))).collect();
        Self { file, stats, clock, zone, known: Mutex::new(Known { day, today, is_written: true }) }
    }

    /// Writes what has changed every minute until `stop`, and once more then.
    pub async fn keep(self: Arc<Self>, stop: CancellationToken) {
        loop {
            // Cancel-safe: a token stays cancelled, and sleeping keeps nothing.
            let stopped = tokio::select! {
                () = stop.cancelled() => true,
                () = tokio::time::sleep(self.until_next()) => false,
            };
            let visits = Arc::clone(&self);
            let written = tokio::task::spawn_blocking(move || visits.note()).await;
            if let Ok(Err(error)) = written {
                let file = self.file.display();
                tracing::warn!(%error, "today's visits cannot be written to {file}: make room, or check the disk");
            }
            if stopped {
                return;
            }
        }
    }

    /// The last [`DAYS`] of a site, today last. Blocks for reading a small file.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn of(&self, app: &AppKey) -> io::Result<Vec<Day>> {
        let (today, count) = {
            let mut known = self.known();
            self.add_up(&mut known);
            (known.day, known.today.get(app).copied().unwrap_or_default().all())
        };
        let mut past = read(&self.file)?.sites.remove(app).unwrap_or_default();
        past.insert(today, (count.visitors, count.pages));
        let days = (0..DAYS).rev().filter_map(|ago| back(today, ago));
        Ok(days
            .map(|day| {
                let (visitors, pages) = past.get(&day).copied().unwrap_or_default();
                Day { day, count: VisitCount { visitors, pages } }
            })
            .collect())
    }

    /// Counts until now; writes it down if it is any different, and begins another day if there is one.
    ///
    /// # Errors
    /// When it cannot be written; it is tried again with the next.
    pub fn note(&self) -> io::Result<()> {
        let now = day_of(&*self.clock, &self.zone);
        let mut known = self.known();
        self.add_up(&mut known);
        let written = if known.is_written { Ok(()) } else { self.write(&known) };
        known.is_written |= written.is_ok();
        if now != known.day {
            self.stats.begin_day();
            *known = Known { day: now, today: BTreeMap::new(), is_written: true };
        }
        written
    }

    fn add_up(&self, known: &mut Known) {
        for (app, seen) in self.stats.visits() {
            let today = known.today.entry(app).or_default();
            if seen == today.seen {
                continue;
            }
            if seen.pages < today.seen.pages {
                today.before = today.all();
            }
            today.seen = seen;
            known.is_written = false;
        }
    }

    fn write(&self, known: &Known) -> io::Result<()> {
        let mut ledger = read(&self.file)?;
        for (app, today) in &known.today {
            let VisitCount { visitors, pages } = today.all();
            ledger.sites.entry(app.clone()).or_default().insert(known.day, (visitors, pages));
        }
        let oldest = back(known.day, DAYS - 1).unwrap_or(known.day);
        for days in ledger.sites.values_mut() {
            days.retain(|day, _| *day >= oldest);
        }
        ledger.sites.retain(|_, days| !days.is_empty());
        let folder = Dir::open_ambient_dir(self.file.parent().unwrap_or(Path::new("/")), ambient_authority())?;
        let name = self.file.file_name().unwrap_or_default().to_string_lossy();
        write_atomic(&folder, &name, &serde_json::to_vec(&ledger)?, 0o600)
    }

    /// The next write, or the end of the day.
    fn until_next(&self) -> Duration {
        let now = zoned(&*self.clock, &self.zone);
        let ends = now.tomorrow().and_then(|tomorrow| tomorrow.start_of_day());
        let left = ends.ok().and_then(|ends| Duration::try_from(ends.duration_since(&now)).ok());
        left.map_or(WRITE_EVERY, |left| left.clamp(Duration::from_millis(100), WRITE_EVERY))
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn back(day: Date, days: usize) -> Option<Date> {
    day.checked_sub(Span::new().days(i64::try_from(days).ok()?)).ok()
}

fn zoned(clock: &dyn Clock, zone: &TimeZone) -> Zoned {
    jiff::Timestamp::from_millisecond(clock.now().0).unwrap_or_default().to_zoned(zone.clone())
}

fn day_of(clock: &dyn Clock, zone: &TimeZone) -> Date {
    zoned(clock, zone).date()
}

/// Empty while there is no file, or one that was not written here, which the next write replaces.
fn read(file: &Path) -> io::Result<Ledger> {
    let mut text = String::new();
    match File::open(file) {
        Ok(open) => open.take(MAX_BYTES).read_to_string(&mut text)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Ledger::default()),
        Err(error) => return Err(error),
    };
    Ok(serde_json::from_str(&text).unwrap_or_else(|error| {
        let file = file.display();
        tracing::warn!(%error, "the visits of the last days in {file} are damaged: they count anew from today on");
        Ledger::default()
    }))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering::Relaxed};

    use super::*;
    use crate::model::Timestamp;

    #[derive(Debug, Default)]
    struct Gateway(Mutex<BTreeMap<AppKey, VisitCount>>);

    impl Gateway {
        fn saw(&self, visitors: u64, pages: u64) {
            self.0.lock().unwrap().insert(app(), VisitCount { visitors, pages });
        }
    }

    impl Counting for Gateway {
        fn visits(&self) -> BTreeMap<AppKey, VisitCount> {
            self.0.lock().unwrap().clone()
        }
        fn begin_day(&self) {
            self.0.lock().unwrap().clear();
        }
    }

    #[derive(Debug, Default)]
    struct Hand(AtomicI64);

    impl Clock for Hand {
        fn now(&self) -> Timestamp {
            Timestamp(self.0.load(Relaxed))
        }
    }

    fn app() -> AppKey {
        AppKey::parse("alice-diary").unwrap()
    }

    struct World {
        folder: tempfile::TempDir,
        gateway: Arc<Gateway>,
        clock: Arc<Hand>,
    }

    impl World {
        fn new() -> Self {
            let world = Self { folder: tempfile::tempdir().unwrap(), gateway: Arc::default(), clock: Arc::default() };
            world.at("2026-03-10T12:00:00+09:00");
            world
        }

        fn at(&self, time: &str) {
            self.clock.0.store(time.parse::<jiff::Timestamp>().unwrap().as_millisecond(), Relaxed);
        }

        /// A daemon that starts.
        fn open(&self) -> Visits {
            self.gateway.begin_day();
            let zone = TimeZone::fixed(jiff::tz::offset(9));
            Visits::at(
                self.folder.path().join("visits.json"),
                Arc::clone(&self.gateway) as _,
                Arc::clone(&self.clock) as _,
                zone,
            )
        }
    }

    fn last(visits: &Visits, days: usize) -> Vec<(u64, u64)> {
        let found = visits.of(&app()).unwrap();
        assert_eq!(found.len(), DAYS);
        found[DAYS - days..].iter().map(|day| (day.count.visitors, day.count.pages)).collect()
    }

    #[test]
    fn days_are_those_of_the_place_and_a_restart_goes_on_with_today() {
        let world = World::new();
        let visits = world.open();
        world.gateway.saw(2, 5);
        assert_eq!(last(&visits, 2), [(0, 0), (2, 5)], "told before it is written");
        visits.note().unwrap();
        let visits = world.open();
        assert_eq!(last(&visits, 1), [(2, 5)]);
        world.gateway.saw(1, 1);
        // The site went and came back: its counters did, too.
        visits.note().unwrap();
        world.gateway.saw(1, 2);
        visits.note().unwrap();
        world.gateway.saw(1, 1);
        assert_eq!(last(&visits, 1), [(4, 8)]);
        // Midnight in Korea is three in the afternoon in Greenwich.
        world.at("2026-03-10T14:59:59Z");
        visits.note().unwrap();
        assert_eq!(last(&visits, 1), [(4, 8)]);
        world.at("2026-03-10T15:00:00Z");
        visits.note().unwrap();
        world.gateway.saw(7, 7);
        assert_eq!(last(&visits, 2), [(4, 8), (7, 7)]);
        world.at("2026-04-09T15:00:00Z");
        visits.note().unwrap();
        world.gateway.saw(1, 1);
        visits.note().unwrap();
        let text = std::fs::read_to_string(&visits.file).unwrap();
        assert!(!text.contains("2026-03-10") && text.contains("2026-04-10"), "thirty days are kept: {text}");
    }

    #[test]
    fn nothing_is_written_where_nobody_came_and_a_damaged_file_is_replaced() {
        let world = World::new();
        let visits = world.open();
        visits.note().unwrap();
        assert!(!visits.file.exists());
        std::io::Write::write_all(&mut File::create(&visits.file).unwrap(), b"{\"sites\": {").unwrap();
        let visits = world.open();
        world.gateway.saw(1, 1);
        visits.note().unwrap();
        assert_eq!(last(&world.open(), 1), [(1, 1)]);
    }

    #[test]
    fn a_minute_s_wait_ends_with_the_day() {
        let world = World::new();
        let visits = world.open();
        assert_eq!(visits.until_next(), WRITE_EVERY);
        world.at("2026-03-10T23:59:50+09:00");
        assert_eq!(visits.until_next(), Duration::from_secs(10));
    }
}
