//! Why a push was not taken, in words.

use crate::history::{Refused, Unfit};
use crate::model::Shown;
use crate::portal::envelope::{Text, said};

pub(super) fn refused(why: &Refused) -> Text {
    match why {
        Refused::Unfit(unfit) => self::unfit(unfit),
        Refused::NoCommit => said!("a branch names a commit, and this is none", "브랜치는 커밋만 가리킬 수 있습니다"),
        Refused::Incomplete => said!(
            "what it builds on is not here: fetch the whole history first (`git fetch --unshallow`)",
            "앞선 커밋이 빠져 있습니다: 먼저 전체 기록을 받으세요(`git fetch --unshallow`)"
        ),
        Refused::Pack(said) if said.contains("exceeds maximum allowed size") => {
            said!(
                "the push is too large: take large files out of its commits",
                "올린 내용이 너무 큽니다: 커밋에서 큰 파일을 빼세요"
            )
        }
        Refused::Pack(said) => {
            let said = Shown::at_most(said, 300);
            said!("git does not take it: {said}", "git이 이 커밋을 받아들이지 않았습니다: `git fsck`로 확인하세요")
        }
        Refused::Full { most } => {
            let most = most >> 30;
            said!(
                "its history has more than {most} GiB already: ask whoever runs this server to make room",
                "지난 기록이 이미 {most} GiB를 넘었습니다: 서버를 운영하는 분에게 정리를 부탁하세요"
            )
        }
        Refused::Taken(version) => said!(
            "another version is called {version}: amend the commit and push again",
            "{version}(이)라는 다른 버전이 있습니다: 커밋을 고쳐서(`git commit --amend`) 다시 올리세요"
        ),
        Refused::History(_) => said!(
            "the history cannot be used now: the daemon's log says why; try again in a moment",
            "지금은 지난 기록을 사용할 수 없습니다: 서버의 로그에 이유가 있습니다. 잠시 뒤에 다시 시도하세요"
        ),
    }
}

fn unfit(unfit: &Unfit) -> Text {
    match unfit {
        Unfit::NoStart => said!(
            "there is no `server.js` in its top folder, so nothing would answer: add it, commit, and push again",
            "맨 위 폴더에 `server.js`가 없어 실행할 수 없습니다: 추가하고 커밋한 뒤 다시 올리세요"
        ),
        Unfit::Submodule(path) => {
            let path = Shown::new(path);
            said!(
                "`{path}` is a submodule: put its files themselves there",
                "`{path}`은(는) 서브모듈입니다: 파일 자체를 넣으세요"
            )
        }
        Unfit::LinkOut(path) => {
            let path = Shown::new(path);
            said!(
                "`{path}` is a link that leads out of the site: put the file itself there",
                "`{path}` 링크가 사이트 밖을 가리킵니다: 파일 자체를 넣으세요"
            )
        }
        Unfit::Name(path) => {
            let path = Shown::new(path);
            said!(
                "no file of a site can be called `{path}`: rename it",
                "`{path}`은(는) 쓸 수 없는 파일 이름입니다: 이름을 바꾸세요"
            )
        }
        Unfit::Clash(one, other) => {
            let (one, other) = (Shown::new(one), Shown::new(other));
            said!(
                "some computers cannot tell `{one}` and `{other}` apart: rename one of them",
                "`{one}`와(과) `{other}`을(를) 구별하지 못하는 컴퓨터가 있습니다: 하나의 이름을 바꾸세요"
            )
        }
        Unfit::TooDeep(path) => {
            let path = Shown::new(path);
            said!("`{path}` is nested too deep: move it up", "`{path}`이(가) 너무 깊은 폴더에 있습니다: 위로 옮기세요")
        }
        Unfit::TooMany { most } => {
            said!("it has more than {most} files: commit fewer", "파일이 {most}개를 넘습니다: 줄여서 커밋하세요")
        }
        Unfit::TooLarge { most_mib } => {
            said!(
                "its files have more than {most_mib} MiB: make it smaller",
                "파일이 모두 {most_mib} MiB를 넘습니다: 줄이세요"
            )
        }
    }
}

/// How much it is, for a person.
pub(super) fn size(bytes: u64) -> String {
    match bytes {
        0..1_024 => format!("{bytes} B"),
        1_024..1_048_576 => format!("{} KB", bytes >> 10),
        _ => format!("{} MB", bytes >> 20),
    }
}
