//! Own host names: whose they are. Pure.
//!
//! A name belongs to one app, to the one that had it first. What an app has is in its row of the inventory, written before
//! anybody is told of it, so the next life of the daemon knows it as well; a name goes to another app only after the row of
//! the one before has let go of it. A name that nobody has goes to the oldest app that asks for it.

use std::collections::{BTreeMap, BTreeSet};

use crate::desired::FileEntry;
use crate::model::{AppKey, DomainName, InventoryRow, Timestamp};

/// Who has a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Holder {
    App(AppKey),
    /// A name of the box itself: no app ever has it.
    TheBox,
}

/// Every name that somebody asks for or has, and who has it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Holders(BTreeMap<DomainName, Holder>);

impl Holders {
    #[must_use]
    pub fn of(&self, name: &DomainName) -> Option<&Holder> {
        self.0.get(name)
    }

    #[must_use]
    pub fn has(&self, key: &AppKey, name: &DomainName) -> bool {
        matches!(self.of(name), Some(Holder::App(holder)) if holder == key)
    }
}

/// What is asked of [`share`].
#[derive(Debug)]
pub struct Claims<'a> {
    /// What each app asks for by what is in force of its manifest.
    pub wishes: &'a BTreeMap<AppKey, Vec<DomainName>>,
    pub rows: &'a BTreeMap<AppKey, InventoryRow>,
    pub files: &'a BTreeMap<AppKey, FileEntry>,
    /// What was told before: a name that was promised and is not written down yet stays promised.
    pub before: &'a Holders,
}

impl Claims<'_> {
    fn wishes(&self, key: &AppKey, name: &DomainName) -> bool {
        self.wishes.get(key).is_some_and(|wishes| wishes.contains(name))
    }

    /// Apps that are in first, the oldest of them first, then those with the oldest file; as quotas are given out.
    fn rank<'k>(&self, key: &'k AppKey) -> (bool, Timestamp, &'k AppKey) {
        match self.rows.get(key) {
            Some(row) => (false, row.admitted_at, key),
            None => (true, self.files.get(key).map_or(Timestamp(i64::MAX), |file| file.modified), key),
        }
    }

    fn holder(&self, name: &DomainName) -> Option<AppKey> {
        let first = |keys: &mut dyn Iterator<Item = &AppKey>| keys.min_by_key(|key| self.rank(key)).cloned();
        let recorded = || self.rows.values().filter(|row| row.domains.contains(name)).map(|row| &row.key);
        let wishers = || self.wishes.keys().filter(|key| self.wishes(key, name));
        let promised = || match self.before.of(name) {
            Some(Holder::App(key)) if self.wishes(key, name) => Some(key.clone()),
            _ => None,
        };
        first(&mut recorded().filter(|key| self.wishes(key, name)))
            // Its row has yet to let go of it.
            .or_else(|| first(&mut recorded()))
            .or_else(promised)
            .or_else(|| first(&mut wishers()))
    }
}

/// Who has which name.
#[must_use]
pub fn share(claims: &Claims<'_>, is_of_the_box: impl Fn(&DomainName) -> bool) -> Holders {
    let wished = claims.wishes.values().flatten();
    let names: BTreeSet<_> = wished.chain(claims.rows.values().flat_map(|row| &row.domains)).collect();
    let holder = |name: &DomainName| {
        if is_of_the_box(name) { Some(Holder::TheBox) } else { claims.holder(name).map(Holder::App) }
    };
    Holders(names.into_iter().filter_map(|name| Some((name.clone(), holder(name)?))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::desired;
    use crate::model::Digest;

    fn key(text: &str) -> AppKey {
        AppKey::parse(text).unwrap()
    }

    fn names(text: &str) -> Vec<DomainName> {
        text.split_whitespace().map(|name| DomainName::parse(name).unwrap()).collect()
    }

    /// Who has `w.kr`, from lines `APP admitted=T has=NAMES wishes=NAMES modified=T`.
    fn holder(lines: &[&str], before: Option<&str>) -> Option<String> {
        let (mut wishes, mut rows, mut files) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        for line in lines {
            let mut words = line.split(' ');
            let app = key(words.next().unwrap());
            let mut modified = 0;
            for word in words {
                match word.split_once('=').unwrap() {
                    ("admitted", at) => {
                        let row = InventoryRow::tombstone(app.clone(), Timestamp(at.parse().unwrap()));
                        rows.insert(app.clone(), row);
                    }
                    ("has", name) => rows.get_mut(&app).unwrap().domains = names(name),
                    ("wishes", name) => drop(wishes.insert(app.clone(), names(name))),
                    ("modified", at) => modified = at.parse().unwrap(),
                    other => panic!("{other:?}"),
                }
            }
            let parsed = desired::parse("a.yaml", b"template: diary-v1\n");
            let (path, digest) = (app.file_name().into(), Digest::of(b""));
            files.insert(app, FileEntry { path, digest, modified: Timestamp(modified), parsed, signed: None });
        }
        let name = &names("w.kr")[0];
        let before = Holders(before.map(|app| (name.clone(), Holder::App(key(app)))).into_iter().collect());
        let claims = Claims { wishes: &wishes, rows: &rows, files: &files, before: &before };
        match share(&claims, |name| name.as_str() == "box.kr").of(name) {
            Some(Holder::App(key)) => Some(key.to_string()),
            Some(Holder::TheBox) => panic!("that is not the box"),
            None => None,
        }
    }

    #[test]
    fn who_had_a_name_first_keeps_it() {
        for (lines, before, want) in [
            // Nobody has it: the oldest that asks.
            (&["zoe-one wishes=w.kr"][..], None, Some("zoe-one")),
            (&["amy-one wishes=w.kr modified=9", "zoe-one wishes=w.kr modified=5"], None, Some("zoe-one")),
            (&["amy-one wishes=w.kr modified=5", "zoe-one wishes=w.kr modified=5"], None, Some("amy-one")),
            (&["amy-one wishes=w.kr modified=5", "zoe-one admitted=7 wishes=w.kr modified=9"], None, Some("zoe-one")),
            (&["amy-one admitted=8 wishes=w.kr", "zoe-one admitted=7 wishes=w.kr"], None, Some("zoe-one")),
            // What is written down counts before everything else.
            (&["amy-one admitted=1 wishes=w.kr", "zoe-one admitted=7 has=w.kr wishes=w.kr"], None, Some("zoe-one")),
            (
                &["amy-one admitted=1 wishes=w.kr", "zoe-one admitted=7 has=w.kr wishes=w.kr"],
                Some("amy-one"),
                Some("zoe-one"),
            ),
            // Then what was promised.
            (&["amy-one wishes=w.kr modified=1", "zoe-one wishes=w.kr modified=9"], Some("zoe-one"), Some("zoe-one")),
            (&["amy-one wishes=w.kr modified=1", "zoe-one wishes=v.kr"], Some("zoe-one"), Some("amy-one")),
            // Who does not want it any more has it until that is written down.
            (&["amy-one admitted=1 wishes=w.kr", "zoe-one admitted=7 has=w.kr"], None, Some("zoe-one")),
            // After a crash right between the two writes: whoever wants it.
            (&["amy-one admitted=9 has=w.kr wishes=w.kr", "zoe-one admitted=7 has=w.kr"], None, Some("amy-one")),
            (&["amy-one wishes=v.kr"], None, None),
        ] {
            assert_eq!(holder(lines, before).as_deref(), want, "{lines:?}");
        }
    }

    #[test]
    fn a_name_of_the_box_is_nobodys() {
        let wishes = BTreeMap::from([(key("amy-one"), names("box.kr w.kr"))]);
        let (rows, files, before) = (BTreeMap::new(), BTreeMap::new(), Holders::default());
        let holders = share(&Claims { wishes: &wishes, rows: &rows, files: &files, before: &before }, |name| {
            name.as_str() == "box.kr"
        });
        assert_eq!(holders.of(&names("box.kr")[0]), Some(&Holder::TheBox));
        assert!(holders.has(&key("amy-one"), &names("w.kr")[0]) && !holders.has(&key("amy-one"), &names("box.kr")[0]));
    }
}
