//! What becomes of each line of a push. Pure.

use crate::history::{BRANCH, NONE, NamedRef, Update};
use crate::model::Shown;
use crate::portal::envelope::{Text, said};

/// Most branches and tags that an app may have.
const MOST_NAMES: usize = 500;

/// What a line asks for, as far as that can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    /// The app's branch: it is to run.
    Deploy,
    /// Another branch: it is kept.
    Branch,
    Tag,
    Remove,
}

/// `named` is what there is.
pub(super) fn wish(update: &Update, named: &[NamedRef]) -> Result<Wish, Text> {
    let Update { name, old, new } = update;
    let (branch, tag) = (name.starts_with("refs/heads/"), name.starts_with("refs/tags/"));
    if !branch && !tag {
        return Err(said!("only branches and tags can be pushed", "브랜치와 태그만 올릴 수 있습니다"));
    }
    let there = named.iter().find(|known| known.name == *name).map_or(NONE, |known| &*known.object);
    if there != old {
        return Err(said!(
            "somebody else was faster: fetch first",
            "다른 사람이 먼저 올렸습니다: 먼저 git fetch 하세요"
        ));
    }
    if new == NONE {
        if name == BRANCH {
            return Err(said!(
                "the branch that runs cannot be deleted: stop or delete the site instead",
                "실행되는 브랜치는 지울 수 없습니다: 대신 사이트를 멈추거나 삭제하세요"
            ));
        }
        return Ok(Wish::Remove);
    }
    if there == NONE && named.len() >= MOST_NAMES {
        return Err(said!(
            "there are {MOST_NAMES} branches and tags already: delete some first",
            "브랜치와 태그가 이미 {MOST_NAMES}개 있습니다: 먼저 몇 개를 지우세요"
        ));
    }
    Ok(match (name == BRANCH, tag) {
        (true, _) => Wish::Deploy,
        (false, true) => Wish::Tag,
        (false, false) => Wish::Branch,
    })
}

/// Without `refs/heads/` and its like.
pub(super) fn short(name: &str) -> Shown<'_> {
    Shown::new(name.splitn(3, '/').nth(2).unwrap_or(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_still_as_the_client_saw_it_changes() {
        let (one, two) = ("1".repeat(40), "2".repeat(40));
        let named = |name: &str| NamedRef { name: name.to_owned(), object: one.clone() };
        let named = [named(BRANCH), named("refs/heads/old"), named("refs/tags/v1")];
        let judged = |name: &str, old: &str, new: &str| {
            let update = Update { name: name.to_owned(), old: old.to_owned(), new: new.to_owned() };
            wish(&update, &named).map_err(|text| text.english)
        };
        assert_eq!(judged(BRANCH, &one, &two), Ok(Wish::Deploy));
        assert_eq!(judged("refs/heads/new", NONE, &two), Ok(Wish::Branch));
        assert_eq!(judged("refs/heads/old", &one, NONE), Ok(Wish::Remove));
        assert_eq!(judged("refs/tags/v1", &one, &two), Ok(Wish::Tag));
        for (name, old, why) in [
            (BRANCH, &*two, "fetch first"),
            (BRANCH, NONE, "fetch first"),
            ("refs/heads/gone", &*one, "fetch first"),
            ("refs/versions/0123456789abcdef", NONE, "only branches"),
            ("refs/kept/x", NONE, "only branches"),
            ("HEAD", NONE, "only branches"),
        ] {
            assert!(judged(name, old, &two).is_err_and(|told| told.contains(why)), "{name} {old}");
        }
        assert!(judged(BRANCH, &one, NONE).is_err_and(|told| told.contains("cannot be deleted")));
    }
}
