//! How many refusals become lines of the log. An event with a `code` is a refusal; its `peer` or `from` says who asked.
//!
//! | of | lines a minute | then |
//! |---|---|---|
//! | one code, to one who asks | 10 | counted, and told as one line when the minute is over |
//! | one code, to everybody | 100 | the same |
//!
//! # Guarantees
//! - However much is asked, a code costs at most 100 lines a minute and one more for each who asked too often.
//! - Memory is bounded: [`MOST`] who ask are told apart; further ones are counted together.
//! - What is left out is always told, at the latest when the daemon stops.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata};
use tracing_subscriber::layer::{Context, Filter};

use crate::model::Shown;

/// Lines a minute of one code to one who asks.
pub const OF_ONE: u64 = 10;
/// Lines a minute of one code.
pub const OF_ALL: u64 = 100;
/// Most entries of the table.
pub const MOST: usize = 1_024;
const MINUTE: Duration = Duration::from_secs(60);
/// Most bytes of a code or an address that are kept.
const KEPT: usize = 64;
/// Everybody who found no place in the table.
const OTHERS: &str = "others";

/// The table. A `static` of it needs no set-up.
#[derive(Debug)]
pub struct Ration(Mutex<Table>);

#[derive(Debug)]
struct Table {
    minutes: BTreeMap<Key, Minute>,
    /// Of minutes that are over.
    due: Vec<LeftOut>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    code: String,
    /// Empty for the code's own count.
    who: String,
}

#[derive(Debug, Clone, Copy)]
struct Minute {
    since: Instant,
    lines: u64,
    left_out: u64,
}

/// What was not told one by one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    pub code: String,
    pub who: String,
    pub lines: u64,
}

impl Default for Ration {
    fn default() -> Self {
        Self::new()
    }
}

impl Ration {
    #[must_use]
    pub const fn new() -> Self {
        Self(Mutex::new(Table { minutes: BTreeMap::new(), due: Vec::new() }))
    }

    /// Whether a refusal becomes a line.
    pub fn admit(&self, code: &str, who: &str, now: Instant) -> bool {
        let mut table = self.lock();
        let kept = |text: &str| Shown::at_most(text, KEPT).to_string();
        let (all, mut one) = (Key { code: kept(code), who: String::new() }, Key { code: kept(code), who: kept(who) });
        if one.who.is_empty() || (table.minutes.len() >= MOST && !table.minutes.contains_key(&one)) {
            OTHERS.clone_into(&mut one.who);
        }
        let of_all = table.minute(&all, now).lines;
        let minute = table.minute(&one, now);
        if minute.lines >= OF_ONE || of_all >= OF_ALL {
            minute.left_out += 1;
            return false;
        }
        minute.lines += 1;
        table.minute(&all, now).lines += 1;
        true
    }

    /// What was left out in minutes that are over.
    pub fn take(&self, now: Instant) -> Vec<LeftOut> {
        let mut table = self.lock();
        let over: Vec<Key> = table
            .minutes
            .iter()
            .filter(|(_, minute)| now.saturating_duration_since(minute.since) >= MINUTE)
            .map(|(key, _)| key.clone())
            .collect();
        for key in over {
            table.end(&key);
        }
        std::mem::take(&mut table.due)
    }

    /// Writes what [`take`](Self::take) gives as lines of the log.
    pub fn tell(&self, now: Instant) {
        for LeftOut { code, who, lines } in self.take(now) {
            // Not by the names of a refusal's fields: this line is the ration.
            tracing::info!(refused = code, of = who, "refused {lines} more, which have no lines of their own");
        }
    }

    /// The same for minutes that are not over.
    pub fn tell_all(&self) {
        self.tell(Instant::now() + MINUTE);
    }

    /// Nothing in here panics while it holds the lock; if something did, the counts would still be whole.
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn minute(&mut self, key: &Key, now: Instant) -> &mut Minute {
        let is_over = |minute: &Minute| now.saturating_duration_since(minute.since) >= MINUTE;
        if self.minutes.get(key).is_some_and(is_over) {
            self.end(key);
        }
        self.minutes.entry(key.clone()).or_insert(Minute { since: now, lines: 0, left_out: 0 })
    }

    fn end(&mut self, key: &Key) {
        let Some(minute) = self.minutes.remove(key).filter(|minute| minute.left_out > 0) else { return };
        let Key { code, who } = key;
        // Whoever asks on all the time is told of once.
        match self.due.iter_mut().find(|due| due.code == *code && due.who == *who) {
            Some(due) => due.lines += minute.left_out,
            None => self.due.push(LeftOut { code: code.clone(), who: who.clone(), lines: minute.left_out }),
        }
    }
}

impl<S> Filter<S> for &'static Ration {
    fn enabled(&self, _: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        true
    }

    fn event_enabled(&self, event: &Event<'_>, _: &Context<'_, S>) -> bool {
        // Whoever asks for more than the usual lines wants all of them.
        if *event.metadata().level() > Level::INFO {
            return true;
        }
        let mut refusal = Refusal::default();
        event.record(&mut refusal);
        let Refusal { code: Some(code), who } = refusal else { return true };
        self.admit(&code, &who, Instant::now())
    }
}

#[derive(Debug, Default)]
struct Refusal {
    code: Option<String>,
    who: String,
}

impl Visit for Refusal {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "code" => self.code = Some(value.to_owned()),
            "peer" | "from" => value.clone_into(&mut self.who),
            _ => {}
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if matches!(field.name(), "code" | "peer" | "from") {
            self.record_str(field, &format!("{value:?}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left_out(code: &str, who: &str, lines: u64) -> LeftOut {
        LeftOut { code: code.to_owned(), who: who.to_owned(), lines }
    }

    #[test]
    fn after_ten_a_minute_one_line_stands_for_the_rest() {
        let (ration, start) = (Ration::new(), Instant::now());
        let told = (0..5_010).filter(|_| ration.admit("no-such-route", "a", start)).count();
        assert_eq!(told, 10);
        assert!(ration.admit("no-such-route", "b", start), "another one who asks");
        assert!(ration.admit("sign-in-required", "a", start), "another reason");
        assert_eq!(ration.take(start + MINUTE / 2), [], "the minute is not over");
        assert_eq!(ration.take(start + MINUTE), [left_out("no-such-route", "a", 5_000)]);
        assert_eq!(ration.take(start + 2 * MINUTE), [], "told once");
        assert!(ration.admit("no-such-route", "a", start + MINUTE), "a new minute");
    }

    #[test]
    fn a_minute_that_nobody_looked_at_is_told_all_the_same() {
        let (ration, start) = (Ration::new(), Instant::now());
        for minute in 0..3 {
            for _ in 0..15 {
                ration.admit("x", "a", start + minute * MINUTE);
            }
        }
        assert_eq!(ration.take(start + 3 * MINUTE), [left_out("x", "a", 15)]);
    }

    #[test]
    fn any_number_of_addresses_costs_a_bounded_number_of_lines_and_entries() {
        let (ration, start) = (Ration::new(), Instant::now());
        let told = (0..50_000).filter(|address: &u32| ration.admit("x", &address.to_string(), start)).count() as u64;
        assert_eq!(told, OF_ALL);
        assert!(ration.lock().minutes.len() <= MOST + 2, "{}", ration.lock().minutes.len());
        let left_out = ration.take(start + MINUTE);
        assert_eq!(left_out.iter().map(|left| left.lines).sum::<u64>(), 50_000 - OF_ALL);
        assert_eq!(ration.lock().minutes.len(), 0, "nothing is kept");
        for name in ["x".repeat(10_000), "\n".repeat(10_000)] {
            ration.admit(&name, &name, start);
            assert!(ration.lock().minutes.keys().all(|key| key.code.len() + key.who.len() <= 2 * (KEPT + 3)));
        }
    }
}
