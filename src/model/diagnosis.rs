//! Why an app does not come up, as far as that can be known from outside: from what it wrote last, and from the sockets it
//! listens on. One sentence, with what to do, in both languages.

use std::net::SocketAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::observed::LastEnd;
use super::shown::Shown;
use super::units::Bytes;

/// What is wrong, as a word for programs. The words are part of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DiagnosisCode {
    /// It listens where only the container itself gets.
    ListensOnLoopback,
    /// It listens on another port than the one it is asked on.
    ListensOnOtherPort,
    /// It runs and listens nowhere.
    ListensNowhere,
    /// It wrote to a place that is read-only.
    ReadOnly,
    /// It asks for a module or file that is not there.
    ModuleNotFound,
    SyntaxError,
    /// It listens twice on one port.
    PortInUse,
    OutOfMemory,
    /// It runs, and has stopped answering.
    Hangs,
}

/// One cause, in one sentence of each language.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Diagnosis {
    pub code: DiagnosisCode,
    pub english: String,
    pub korean: String,
}

impl Diagnosis {
    fn new(code: DiagnosisCode, english: String, korean: String) -> Self {
        Self { code, english, korean }
    }

    /// Of an app whose port does not answer: what it listens on instead.
    #[must_use]
    pub fn of_sockets(listening: &[SocketAddr], port: u16) -> Option<Self> {
        let outside = |at: &&SocketAddr| !at.ip().to_canonical().is_loopback();
        if listening.iter().any(|at| at.port() == port && outside(&at)) {
            return None; // It listens where it should, and says no word.
        }
        if let Some(at) = listening.iter().find(|at| at.port() == port) {
            return Some(Self::new(
                DiagnosisCode::ListensOnLoopback,
                format!("it listens on {at}, where nobody outside the container reaches it: listen on 0.0.0.0"),
                format!("{at}에서 기다리고 있어서 컨테이너 밖에서는 닿을 수 없습니다: 0.0.0.0에서 기다리게 하세요"),
            ));
        }
        let mut others: Vec<u16> = listening.iter().filter(outside).map(SocketAddr::port).collect();
        if others.is_empty() {
            others = listening.iter().map(SocketAddr::port).collect();
        }
        others.sort_unstable();
        others.dedup();
        others.truncate(5);
        let ports: Vec<String> = others.iter().map(u16::to_string).collect();
        let ports = ports.join(", ");
        Some(if others.is_empty() {
            Self::new(
                DiagnosisCode::ListensNowhere,
                format!(
                    "it runs but listens on no port: call `listen` with the port that PORT names ({port}), or allow more time \
                     with `startTimeout`"
                ),
                format!(
                    "실행 중이지만 어떤 포트에서도 기다리지 않습니다: PORT가 알려 주는 포트({port})로 `listen`을 부르거나, 시작에 시간이 더 \
                     필요하면 `startTimeout`을 늘리세요"
                ),
            )
        } else {
            Self::new(
                DiagnosisCode::ListensOnOtherPort,
                format!("it listens on port {ports}, not {port}: use the port that PORT names"),
                format!("{port}번이 아니라 {ports}번 포트에서 기다립니다: PORT가 알려 주는 포트를 쓰세요"),
            )
        })
    }

    /// Of an app that answered, and does no more although it runs.
    #[must_use]
    pub fn of_hang() -> Self {
        Self::new(
            DiagnosisCode::Hangs,
            "its process hangs: look for a loop that does not end, or a call that never comes back".to_owned(),
            "프로세스가 멈춰 있습니다: 끝나지 않는 반복문이나 돌아오지 않는 호출이 있는지 보세요".to_owned(),
        )
    }

    /// Of an app that ended: what its last lines, oldest first, tell. `limit` is its memory.
    #[must_use]
    pub fn of_end(end: LastEnd, log: &[String], limit: Option<Bytes>) -> Option<Self> {
        if end.oom_killed {
            return Some(out_of_memory(limit));
        }
        // The last that is recognised: the lines may be those of several runs.
        (0..log.len()).rev().find_map(|at| {
            let line = log[at].as_str();
            read_only(line)
                .or_else(|| module_not_found(line))
                .or_else(|| syntax_error(log, at))
                .or_else(|| port_in_use(line))
                .or_else(|| line.contains("JavaScript heap out of memory").then(|| out_of_memory(limit)))
        })
    }
}

fn out_of_memory(limit: Option<Bytes>) -> Diagnosis {
    let (english, korean) = match limit {
        Some(limit) => (format!(" ({limit})"), format!("({limit})")),
        None => (String::new(), String::new()),
    };
    Diagnosis::new(
        DiagnosisCode::OutOfMemory,
        format!("it needs more memory than its limit{english}: raise `memory` in its manifest"),
        format!("메모리 한도{korean}보다 많은 메모리가 필요합니다: 매니페스트의 `memory`를 늘리세요"),
    )
}

/// `Error: EROFS: read-only file system, open '/app/notes.txt'`
fn read_only(line: &str) -> Option<Diagnosis> {
    let (_, rest) = line.split_once("EROFS: read-only file system")?;
    let path = quoted(rest);
    let place = match path {
        Some(path) if path == "/app" || path.starts_with("/app/") => "/app".to_owned(),
        Some(path) => format!("`{}`", Shown::new(path)),
        None => "/app".to_owned(),
    };
    Some(Diagnosis::new(
        DiagnosisCode::ReadOnly,
        format!("{place} is read-only: write to /data"),
        format!("{place}은(는) 읽기 전용입니다: /data에 쓰세요"),
    ))
}

/// `Error: Cannot find module 'left-pad'`, `… Cannot find package 'left-pad' imported from /app/server.js`
fn module_not_found(line: &str) -> Option<Diagnosis> {
    let (_, rest) = line.split_once("Cannot find module ").or_else(|| line.split_once("Cannot find package "))?;
    let name = Shown::new(quoted(rest)?).to_string();
    let (english, korean) = if name == "/app/server.js" {
        (
            "there is no server.js in app/: put one there, it is what is started".to_owned(),
            "app/ 폴더에 server.js가 없습니다: 이 파일이 실행되니 넣어 주세요".to_owned(),
        )
    } else if name.starts_with(['.', '/']) {
        (
            format!("the file `{name}` that its code asks for is not there: put it into app/, or correct the name"),
            format!("코드가 찾는 파일 `{name}`이(가) 없습니다: app/ 폴더에 넣거나 이름을 고치세요"),
        )
    } else {
        (
            format!(
                "the module `{name}` that its code asks for is not there: correct the name, or copy it into \
                 app/node_modules (express and better-sqlite3 are always there)"
            ),
            format!(
                "코드가 찾는 모듈 `{name}`이(가) 없습니다: 이름을 고치거나 app/node_modules에 복사해 넣으세요\
                 (express와 better-sqlite3는 늘 있습니다)"
            ),
        )
    };
    Some(Diagnosis::new(DiagnosisCode::ModuleNotFound, english, korean))
}

/// `/app/server.js:3`, the line, a caret, an empty line, `SyntaxError: Unexpected token ';'`
fn syntax_error(log: &[String], at: usize) -> Option<Diagnosis> {
    const LINES_BEFORE: usize = 8;
    let message = log[at].strip_prefix("SyntaxError: ")?;
    // Text that a program reads as it runs is no mistake in its code.
    if message.contains("JSON") {
        return None;
    }
    let before = log[at.saturating_sub(LINES_BEFORE)..at].iter().rev();
    let place = before.map(String::as_str).find_map(code_place);
    let message = Shown::new(message);
    let (english, korean) = match place {
        Some((file, line)) => {
            let file = Shown::new(file);
            (format!(" in line {line} of {file}"), format!("{file}의 {line}번째 줄에 "))
        }
        None => (String::new(), String::new()),
    };
    Some(Diagnosis::new(
        DiagnosisCode::SyntaxError,
        format!("its code has a syntax error{english} ({message}): correct it"),
        format!("코드의 {korean}문법 오류가 있습니다({message}): 고쳐 주세요"),
    ))
}

/// `/app/server.js:3` or `file:///app/server.js:3`
fn code_place(line: &str) -> Option<(&str, u32)> {
    let path = line.strip_prefix("file://").unwrap_or(line);
    let (file, number) = path.rsplit_once(':')?;
    let number = number.parse().ok()?;
    file.starts_with('/').then(|| (file.strip_prefix("/app/").unwrap_or(file), number))
}

/// `Error: listen EADDRINUSE: address already in use :::3000`
fn port_in_use(line: &str) -> Option<Diagnosis> {
    let (_, rest) = line.split_once("EADDRINUSE: address already in use")?;
    let port: Option<u16> = rest.trim().rsplit(':').next().and_then(|port| port.parse().ok());
    let (english, korean) = match port {
        Some(port) => (format!("port {port}"), format!("{port}번 포트")),
        None => ("a port".to_owned(), "한 포트".to_owned()),
    };
    Some(Diagnosis::new(
        DiagnosisCode::PortInUse,
        format!("it listens on {english} twice: call `listen` once only"),
        format!("{korean}에서 두 번 기다리려고 합니다: `listen`은 한 번만 부르세요"),
    ))
}

/// The first text in single quotes.
fn quoted(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once('\'')?;
    rest.split_once('\'').map(|(quoted, _)| quoted)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAILED: LastEnd = LastEnd { code: 1, oom_killed: false, at: None };

    fn of_log(log: &str) -> String {
        let lines: Vec<String> = log.lines().map(str::to_owned).collect();
        told(Diagnosis::of_end(FAILED, &lines, Some(Bytes::mib(64))))
    }

    fn told(found: Option<Diagnosis>) -> String {
        found.map_or_else(
            || "nothing".to_owned(),
            |found| format!("{:?}: {}\n{}", found.code, found.english, found.korean),
        )
    }

    #[test]
    fn what_node_writes_at_its_end_is_recognised() {
        for (log, want) in [
            (
                "Error: EROFS: read-only file system, open '/app/notes.txt'\n    at Object.open (node:fs:555:3) {\n  errno: -30,\n  code: 'EROFS'\n}\n\nNode.js v24.1.0",
                "ReadOnly: /app is read-only: write to /data\n/app은(는) 읽기 전용입니다: /data에 쓰세요",
            ),
            (
                "[Error: EROFS: read-only file system, mkdir '/var/cache'] {",
                "ReadOnly: `/var/cache` is read-only: write to /data\n`/var/cache`은(는) 읽기 전용입니다: /data에 쓰세요",
            ),
            (
                "node:internal/modules/cjs/loader:1404\n  throw err;\n  ^\n\nError: Cannot find module 'left-pad'\nRequire stack:\n- /app/server.js\n  code: 'MODULE_NOT_FOUND',",
                "ModuleNotFound: the module `left-pad` that its code asks for is not there: correct the name, or copy it into app/node_modules (express and better-sqlite3 are always there)\n코드가 찾는 모듈 `left-pad`이(가) 없습니다: 이름을 고치거나 app/node_modules에 복사해 넣으세요(express와 better-sqlite3는 늘 있습니다)",
            ),
            (
                "Error [ERR_MODULE_NOT_FOUND]: Cannot find package 'left-pad' imported from /app/server.mjs",
                "ModuleNotFound: the module `left-pad` that its code asks for is not there: correct the name, or copy it into app/node_modules (express and better-sqlite3 are always there)\n코드가 찾는 모듈 `left-pad`이(가) 없습니다: 이름을 고치거나 app/node_modules에 복사해 넣으세요(express와 better-sqlite3는 늘 있습니다)",
            ),
            (
                "Error: Cannot find module './pages'",
                "ModuleNotFound: the file `./pages` that its code asks for is not there: put it into app/, or correct the name\n코드가 찾는 파일 `./pages`이(가) 없습니다: app/ 폴더에 넣거나 이름을 고치세요",
            ),
            (
                "Error: Cannot find module '/app/server.js'",
                "ModuleNotFound: there is no server.js in app/: put one there, it is what is started\napp/ 폴더에 server.js가 없습니다: 이 파일이 실행되니 넣어 주세요",
            ),
            (
                "/app/server.js:3\nconst x = ;\n          ^\n\nSyntaxError: Unexpected token ';'\n    at wrapSafe (node:internal/modules/cjs/loader:1692:18)",
                "SyntaxError: its code has a syntax error in line 3 of server.js (Unexpected token ';'): correct it\n코드의 server.js의 3번째 줄에 문법 오류가 있습니다(Unexpected token ';'): 고쳐 주세요",
            ),
            (
                "file:///app/lib/a.mjs:12\n)\n^\n\nSyntaxError: Unexpected token ')'",
                "SyntaxError: its code has a syntax error in line 12 of lib/a.mjs (Unexpected token ')'): correct it\n코드의 lib/a.mjs의 12번째 줄에 문법 오류가 있습니다(Unexpected token ')'): 고쳐 주세요",
            ),
            (
                "/app/server.js:1\nJSON.parse('x')\n     ^\n\nSyntaxError: Unexpected token 'x', \"x\" is not valid JSON",
                "nothing",
            ),
            (
                "Error: listen EADDRINUSE: address already in use :::3000\n    at Server.setupListenHandle",
                "PortInUse: it listens on port 3000 twice: call `listen` once only\n3000번 포트에서 두 번 기다리려고 합니다: `listen`은 한 번만 부르세요",
            ),
            (
                "FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory",
                "OutOfMemory: it needs more memory than its limit (64m): raise `memory` in its manifest\n메모리 한도(64m)보다 많은 메모리가 필요합니다: 매니페스트의 `memory`를 늘리세요",
            ),
            ("TypeError: x is not a function", "nothing"),
            ("", "nothing"),
        ] {
            assert_eq!(of_log(log), want, "{log}");
        }
    }

    #[test]
    fn the_last_run_counts_and_what_the_kernel_says_before_all() {
        let both = "Error: Cannot find module './a'\nNode.js v24\nError: listen EADDRINUSE: address already in use 0.0.0.0:8081";
        assert!(of_log(both).starts_with("PortInUse: it listens on port 8081 twice"));
        let lines: Vec<String> = both.lines().map(str::to_owned).collect();
        let killed = LastEnd { code: 137, oom_killed: true, at: None };
        assert!(
            told(Diagnosis::of_end(killed, &lines, None))
                .starts_with("OutOfMemory: it needs more memory than its limit:")
        );
    }

    #[test]
    fn others_text_stays_one_harmless_line() {
        let found = of_log("Error: Cannot find module 'a\u{1b}[31m\u{202e}b'");
        assert!(!found.contains('\u{1b}') && !found.contains('\u{202e}'), "{found}");
        let long = of_log(&format!("Error: Cannot find module '{}'", "x".repeat(10_000)));
        assert!(long.len() < 2_000, "{}", long.len());
    }

    #[test]
    fn sockets_tell_where_it_listens_instead() {
        for (listening, want) in [
            (
                &["127.0.0.1:3000"][..],
                "ListensOnLoopback: it listens on 127.0.0.1:3000, where nobody outside the container reaches it: listen on 0.0.0.0",
            ),
            (
                &["[::1]:3000"],
                "ListensOnLoopback: it listens on [::1]:3000, where nobody outside the container reaches it: listen on 0.0.0.0",
            ),
            (&["[::ffff:127.0.0.1]:3000"], "ListensOnLoopback: it listens on [::ffff:127.0.0.1]:3000"),
            (&["[::]:8081"], "ListensOnOtherPort: it listens on port 8081, not 3000: use the port that PORT names"),
            (&["0.0.0.0:8081", "[::]:8081", "127.0.0.1:9229"], "ListensOnOtherPort: it listens on port 8081, not 3000"),
            (&["127.0.0.1:9229"], "ListensOnOtherPort: it listens on port 9229, not 3000"),
            (&["127.0.0.1:3000", "0.0.0.0:8081"], "ListensOnLoopback"),
            (&[], "ListensNowhere: it runs but listens on no port: call `listen` with the port that PORT names (3000)"),
            (&["127.0.0.1:3000", "[::]:3000"], "nothing"),
            (&["0.0.0.0:3000"], "nothing"),
        ] {
            let listening: Vec<SocketAddr> = listening.iter().map(|at| at.parse().unwrap()).collect();
            let found = told(Diagnosis::of_sockets(&listening, 3000));
            assert!(found.starts_with(want), "{listening:?}: {found}");
        }
    }
}
