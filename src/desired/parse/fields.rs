//! The keys of a group, and what is refused of them: all of it at once, as far as it can be told.

use super::super::yaml::{Entry, Refusal, clip};
use super::MOST_PROBLEMS;

/// Refusals of one text: at least one.
#[derive(Debug)]
pub(super) struct Refusals {
    pub(super) first: Refusal,
    pub(super) others: Vec<Refusal>,
}

impl From<Refusal> for Refusals {
    fn from(first: Refusal) -> Self {
        Self { first, others: Vec::new() }
    }
}

/// The keys of a group, and what is wrong with them so far.
pub(super) struct Fields<'a> {
    pub(super) entries: &'a [Entry],
    pub(super) refused: Option<Refusals>,
}

impl<'a> Fields<'a> {
    /// `keys`: those that the group may have.
    pub(super) fn of(entries: &'a [Entry], keys: &[&str]) -> Self {
        let mut fields = Self { entries, refused: None };
        for entry in entries {
            // Each costs a comparison with every key, and a file may hold thousands.
            if fields.is_full() {
                break;
            }
            if let Err(refusal) = known_key(entry, keys) {
                fields.note(refusal);
            }
        }
        fields
    }

    pub(super) fn is_full(&self) -> bool {
        self.refused.as_ref().is_some_and(|refused| refused.others.len() + 1 >= MOST_PROBLEMS)
    }

    pub(super) fn note(&mut self, found: impl Into<Refusals>) {
        let found = found.into();
        match &mut self.refused {
            None => self.refused = Some(found),
            Some(refused) => {
                refused.others.push(found.first);
                refused.others.extend(found.others);
                refused.others.truncate(MOST_PROBLEMS - 1);
            }
        }
    }

    pub(super) fn get(&self, key: &str) -> Option<&'a Entry> {
        self.entries.iter().find(|entry| entry.key == key)
    }

    /// `None` where the key is absent, and where its value is refused.
    pub(super) fn read<T, E: Into<Refusals>>(
        &mut self,
        key: &str,
        read: impl FnOnce(&'a Entry) -> Result<T, E>,
    ) -> Option<T> {
        match read(self.get(key)?) {
            Ok(value) => Some(value),
            Err(refused) => {
                self.note(refused);
                None
            }
        }
    }

    pub(super) fn end(self) -> Result<(), Refusals> {
        self.refused.map_or(Ok(()), Err)
    }
}

pub(super) fn known_key(entry: &Entry, keys: &[&str]) -> Result<(), Refusal> {
    if keys.contains(&entry.key.as_str()) {
        return Ok(());
    }
    let help = match nearest(&entry.key, keys) {
        Some(near) => format!("did you mean `{near}`?"),
        None if entry.key == "<<" => "merge keys are not accepted: write the lines out".to_owned(),
        None => format!("the keys here are {}", listed(keys)),
    };
    Err(Refusal::new(entry.key_at, format!("unknown key `{}`", clip(&entry.key)), help))
}

/// The candidate a typing error away from the text.
pub(super) fn nearest<'a>(text: &str, candidates: &[&'a str]) -> Option<&'a str> {
    // The comparison's cost grows with the product of both lengths, and nobody mistypes a key at this length.
    if text.len() > 64 {
        return None;
    }
    let lower = text.to_lowercase();
    candidates
        .iter()
        .map(|candidate| (strsim::damerau_levenshtein(&lower, &candidate.to_lowercase()), *candidate))
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len() / 5)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

pub(super) fn listed(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    quoted.join(", ")
}
