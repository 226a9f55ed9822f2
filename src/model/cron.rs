//! Five-field cron expressions: checked here, carried out by the backup schedule.
//!
//! Not checked by the crate that is to carry them out (croner), because it takes more than it should: a weekday's name in the
//! month's place (`0 3 * MON *` is January to it), `JAN` as an hour, steps that are never reached, empty places in a list; and
//! what it refuses it does not name. Whatever passes here means the same to it.

/// Why a schedule was refused; the message ends with the accepted form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CronError {
    #[error("needs five fields, not {0}: write `minute hour day month weekday`, for example `0 3 * * *`")]
    Fields(usize),
    #[error("has `{text}` as its {field}: write {accepted}, for example `0 3 * * *` for every night at three")]
    Field { field: &'static str, text: String, accepted: &'static str },
}

struct Field {
    name: &'static str,
    accepted: &'static str,
    min: u32,
    max: u32,
    names: &'static [&'static str],
}

const MONTHS: [&str; 12] = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

const FIELDS: [Field; 5] = [
    Field { name: "minute", accepted: "0 to 59", min: 0, max: 59, names: &[] },
    Field { name: "hour", accepted: "0 to 23", min: 0, max: 23, names: &[] },
    Field { name: "day of the month", accepted: "1 to 31", min: 1, max: 31, names: &[] },
    Field { name: "month", accepted: "1 to 12 or JAN to DEC", min: 1, max: 12, names: &MONTHS },
    Field { name: "weekday", accepted: "0 to 7 or SUN to SAT", min: 0, max: 7, names: &WEEKDAYS },
];

/// Accepts `minute hour day month weekday` with `*`, numbers, names, ranges, lists and steps. Seconds and nicknames such
/// as `@daily` are refused: one form is enough, and everyone can look it up.
pub fn check(text: &str) -> Result<(), CronError> {
    let fields: Vec<&str> = text.split_ascii_whitespace().collect();
    if fields.len() != FIELDS.len() {
        return Err(CronError::Fields(fields.len()));
    }
    for (field, text) in FIELDS.iter().zip(fields) {
        if !text.split(',').all(|item| field.accepts(item)) {
            let text = text.chars().take(40).collect();
            return Err(CronError::Field { field: field.name, text, accepted: field.accepted });
        }
    }
    Ok(())
}

impl Field {
    /// One item of a list: `*`, `5`, `1-5`, each with an optional `/step`.
    fn accepts(&self, item: &str) -> bool {
        let (range, step) = item.split_once('/').map_or((item, None), |(range, step)| (range, Some(step)));
        if step.is_some_and(|step| number(step).is_none_or(|step| step == 0 || step > self.max)) {
            return false;
        }
        if range == "*" {
            return true;
        }
        match range.split_once('-') {
            Some((from, to)) => matches!((self.value(from), self.value(to)), (Some(from), Some(to)) if from <= to),
            // `5/10` is understood differently by different programs, so it must be written as a range.
            None => step.is_none() && self.value(range).is_some(),
        }
    }

    fn value(&self, text: &str) -> Option<u32> {
        let named = self.names.iter().position(|name| name.eq_ignore_ascii_case(text));
        match named {
            Some(index) => u32::try_from(index).ok().map(|index| index + self.min),
            None => number(text).filter(|value| (self.min..=self.max).contains(value)),
        }
    }
}

fn number(text: &str) -> Option<u32> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_fields_with_lists_ranges_steps_and_names_are_accepted() {
        for good in
            ["0 3 * * *", "*/15 * * * *", "0 0 1,15 * *", "30 4 * * MON-FRI", "0 0 1 jan sun", "5-50/5 1-3 * 2-4 7"]
        {
            assert_eq!(check(good), Ok(()), "{good}");
        }
    }

    #[test]
    fn anything_else_is_refused_with_the_field_that_is_wrong() {
        let refused = |text: &str| check(text).unwrap_err().to_string();
        insta::assert_snapshot!(refused("daily"), @"needs five fields, not 1: write `minute hour day month weekday`, for example `0 3 * * *`");
        insta::assert_snapshot!(refused("60 3 * * *"), @"has `60` as its minute: write 0 to 59, for example `0 3 * * *` for every night at three");
        for bad in [
            "",
            "@daily",
            "0 3 * *",
            "0 0 3 * * *",
            "0 24 * * *",
            "0 3 0 * *",
            "0 3 * 13 *",
            "0 3 * * 8",
            "*/0 * * * *",
            "5-1 * * * *",
            "1,,2 * * * *",
            "-1 * * * *",
            "+1 * * * *",
            "5/10 * * * *",
            "0 3 * MON *",
            "a b c d e",
            "0 3 * * *-",
            "99999999999 3 * * *",
        ] {
            assert!(check(bad).is_err(), "{bad:?}");
        }
    }
}
