//! When the next backup is due. Pure.

use croner::Cron;
use croner::parser::{CronParser, Seconds};
use jiff::tz::TimeZone;
use sha2::{Digest as _, Sha256};

use crate::model::{AppKey, Timestamp};

/// Twenty apps that are due at three do not all begin at three.
const LONGEST_JITTER_MS: i64 = 15 * 60 * 1_000;

/// The first moment of the schedule after `last`, and a little later: each app has its own delay, always the same. A moment that has
/// passed while nobody was there is due now, and once, because the next is counted from when that was made up for.
///
/// `None`: such a moment never comes.
pub(super) fn due(schedule: &str, last: Timestamp, app: &AppKey, zone: &TimeZone) -> Option<Timestamp> {
    let cron = CronParser::builder().seconds(Seconds::Disallowed).build().parse(schedule).ok()?;
    let first = next(&cron, last, zone)?;
    let period = next(&cron, first, zone).map_or(LONGEST_JITTER_MS, |second| second.0 - first.0);
    Some(Timestamp(first.0 + jitter(app, LONGEST_JITTER_MS.min(period / 4))))
}

fn next(cron: &Cron, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
    let after = jiff::Timestamp::from_millisecond(after.0).ok()?.to_zoned(zone.clone());
    let next = cron.find_next_occurrence(&after, false).ok()?;
    Some(Timestamp(next.timestamp().as_millisecond()))
}

fn jitter(app: &AppKey, most: i64) -> i64 {
    let digest = Sha256::digest(app.to_string());
    let number = digest.iter().take(4).fold(0, |number, byte| number << 8 | i64::from(*byte));
    number % most.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minutes(schedule: &str, last: &str, zone: &str) -> Vec<String> {
        let zone = TimeZone::get(zone).unwrap();
        let app = AppKey::parse("alice-diary").unwrap();
        let mut last: Timestamp = last.parse().unwrap();
        let mut found = Vec::new();
        for _ in 0..3 {
            last = due(schedule, last, &app, &zone).unwrap();
            let time = jiff::Timestamp::from_millisecond(last.0).unwrap().to_zoned(zone.clone());
            found.push(time.strftime("%m-%d %H:%M").to_string());
        }
        found
    }

    #[test]
    fn each_night_at_three_by_the_hosts_clock_and_a_little_later() {
        let mut nights = minutes("0 3 * * *", "2026-11-30T03:00:00Z", "Asia/Seoul");
        let delay = nights[0].split_off("12-01 03:".len());
        assert!(delay.parse::<u32>().unwrap() < 15, "{delay}");
        assert_eq!(nights[1], format!("12-02 03:{delay}"));
        // The nights in which clocks are changed.
        let spring = minutes("30 2 * * *", "2026-03-28T12:00:00Z", "Europe/Berlin");
        assert_eq!(spring.iter().map(|night| &night[..5]).collect::<Vec<_>>(), ["03-29", "03-30", "03-31"]);
        let autumn = minutes("30 2 * * *", "2026-10-24T12:00:00Z", "Europe/Berlin");
        assert_eq!(autumn.iter().map(|night| &night[..5]).collect::<Vec<_>>(), ["10-25", "10-26", "10-27"]);
    }

    #[test]
    fn what_was_missed_is_due_once() {
        let (app, zone) = (AppKey::parse("alice-diary").unwrap(), TimeZone::UTC);
        let last = "2026-11-01T03:05:00Z".parse().unwrap();
        let now: Timestamp = "2026-11-30T12:00:00Z".parse().unwrap();
        assert!(due("0 3 * * *", last, &app, &zone).unwrap() <= now);
        assert!(due("0 3 * * *", now, &app, &zone).unwrap() > now);
    }

    #[test]
    fn apps_that_are_due_together_begin_one_after_the_other_and_short_periods_have_short_delays() {
        let zone = TimeZone::UTC;
        let last = "2026-11-30T00:00:00Z".parse().unwrap();
        let apps = (0..20).map(|number| AppKey::parse(&format!("alice-app{number}")).unwrap());
        let times: std::collections::BTreeSet<_> =
            apps.map(|app| due("0 3 * * *", last, &app, &zone).unwrap().0 / 60_000).collect();
        assert!(times.len() > 8, "{times:?}");
        let app = AppKey::parse("alice-diary").unwrap();
        let first = due("*/4 * * * *", last, &app, &zone).unwrap();
        assert!((4 * 60_000..5 * 60_000).contains(&(first.0 - last.0)));
        assert_eq!(due("0 0 30 2 *", last, &app, &zone), None);
    }
}
