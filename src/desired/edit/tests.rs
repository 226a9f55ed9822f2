use super::*;
use crate::model::{Audience, Seconds};

fn edited(source: &str, changes: &[Change]) -> String {
    edit_text("alice-diary.yaml", source, changes).unwrap_or_else(|error| panic!("{source:?}: {error}"))
}

fn domains(names: &str) -> Change {
    Change::Domains(names.split_whitespace().map(|name| name.parse().unwrap()).collect())
}

const STOP: Change = Change::State(RunState::Stopped);

#[test]
fn only_the_key_changes_and_everything_else_stays() {
    let memory = || Change::Memory(Some(Bytes::mib(64)));
    for (source, change, expected) in [
        ("template: diary-v1\n", STOP, "template: diary-v1\nstate: stopped\n"),
        ("template: diary-v1", STOP, "template: diary-v1\nstate: stopped"),
        ("template: diary-v1\nstate: running # now\n", STOP, "template: diary-v1\nstate: stopped # now\n"),
        (
            "# top\n\ntemplate: diary-v1 # t\n\n# about memory\nmemory: 1g   # big\n\n# end\n",
            memory(),
            "# top\n\ntemplate: diary-v1 # t\n\n# about memory\nmemory: 64m   # big\n\n# end\n",
        ),
        ("template: diary-v1\r\nmemory: 1g # big\r\n", memory(), "template: diary-v1\r\nmemory: 64m # big\r\n"),
        ("template: diary-v1\r\n", STOP, "template: diary-v1\r\nstate: stopped\r\n"),
        ("{template: diary-v1, memory: 1g}\n", STOP, "{template: diary-v1, memory: 1g, state: stopped}\n"),
        ("{template: diary-v1, memory: 1g}", memory(), "{template: diary-v1, memory: 64m}"),
        ("---\ntemplate: diary-v1\n...\n", STOP, "---\ntemplate: diary-v1\nstate: stopped\n...\n"),
        ("# file\n---\n# doc\ntemplate: diary-v1\n", STOP, "# file\n---\n# doc\ntemplate: diary-v1\nstate: stopped\n"),
        ("%YAML 1.2\n---\ntemplate: diary-v1\n", STOP, "%YAML 1.2\n---\ntemplate: diary-v1\nstate: stopped\n"),
        ("\u{feff}template: diary-v1\n", STOP, "\u{feff}template: diary-v1\nstate: stopped\n"),
        ("memory: \"1g\"\ntemplate: 'diary-v1'", memory(), "memory: 64m\ntemplate: 'diary-v1'"),
        ("  template: diary-v1\n", STOP, "  template: diary-v1\n  state: stopped\n"),
        (
            "template: diary-v1\nenv:\n  # why\n  A:  1\n  B: \"2\" # two\n",
            STOP,
            "template: diary-v1\nenv:\n  # why\n  A:  1\n  B: \"2\" # two\nstate: stopped\n",
        ),
        ("template: diary-v1\nmemory: 1g\ncpus: 1\n", Change::Memory(None), "template: diary-v1\ncpus: 1\n"),
        ("template: diary-v1\n", Change::Cpus(Some(MilliCpus(1250))), "template: diary-v1\ncpus: 1.25\n"),
        ("template: diary-v1\n", Change::Pids(Some(7)), "template: diary-v1\npids: 7\n"),
        ("template: diary-v1\n", Change::EnableApi(true), "template: diary-v1\nenableApi: true\n"),
        ("template: diary-v1\n", Change::Restart(Some(RestartPolicy::No)), "template: diary-v1\nrestart: 'no'\n"),
        ("template: diary-v1\n", Change::Disk(Some(Bytes::mib(9))), "template: diary-v1\ndisk: 9m\n"),
        (
            "template: diary-v1\n",
            Change::Strategy(Some(Strategy::Recreate)),
            "template: diary-v1\nstrategy: recreate\n",
        ),
        (
            "template: diary-v1\nsleep: never # why\nmemory: 1g\n",
            Change::Sleep(Some(Sleep::After(Seconds(1800)))),
            "template: diary-v1\nsleep: {after: 30m} # why\nmemory: 1g\n",
        ),
        (
            "template: diary-v1\nsleep: {after: 30m}\n",
            Change::Sleep(Some(Sleep::Never)),
            "template: diary-v1\nsleep: never\n",
        ),
        ("template: diary-v1\n", Change::Visitors(Some(Visitors::OWNER)), "template: diary-v1\nvisitors: owner\n"),
        (
            "template: diary-v1\nversion: 3f2a91c04be7d815 # undone\nmemory: 1g\n",
            Change::Version(VersionId::parse("1234567890123456")),
            "template: diary-v1\nversion: '1234567890123456' # undone\nmemory: 1g\n",
        ),
        ("template: diary-v1\nversion: 3f2a91c04be7d815\n", Change::Version(None), "template: diary-v1\n"),
        (
            "template: diary-v1\n",
            domains("www.example.kr 일기.한국"),
            "template: diary-v1\ndomains: [www.example.kr, 일기.한국]\n",
        ),
        (
            "template: diary-v1\ndomains: [a.kr, b.kr] # mine\nmemory: 1g\n",
            domains("b.kr"),
            "template: diary-v1\ndomains: [b.kr] # mine\nmemory: 1g\n",
        ),
        (
            "template: diary-v1\ndomains:\n  - a.kr\nmemory: 1g\n",
            domains("a.kr b.kr"),
            "template: diary-v1\ndomains: [a.kr, b.kr]\nmemory: 1g\n",
        ),
        ("template: diary-v1\ndomains: [a.kr]\nmemory: 1g\n", domains(""), "template: diary-v1\nmemory: 1g\n"),
        (
            "template: diary-v1\nvisitors: everyone # who\nmemory: 1g\n",
            Change::Visitors(Visitors::new(Audience::Everyone, Audience::Owner)),
            "template: diary-v1\nvisitors: {view: everyone, change: owner} # who\nmemory: 1g\n",
        ),
        (
            "template: diary-v1\nvisitors:\n  view: everyone\n  change: owner\nmemory: 1g\n",
            Change::Visitors(Some(Visitors::OWNER)),
            "template: diary-v1\nvisitors: owner\nmemory: 1g\n",
        ),
        (
            "template: diary-v1\nvisitors: {view: everyone, change: owner}\nmemory: 1g\n",
            Change::Visitors(Some(Visitors::both(Audience::Guests))),
            "template: diary-v1\nvisitors: guests\nmemory: 1g\n",
        ),
        (
            "template: diary-v1\nredeploy: >-\n  folded\n  text\nmemory: 1g\n",
            Change::Redeploy("x".into()),
            "template: diary-v1\nredeploy: x\nmemory: 1g\n",
        ),
    ] {
        assert_eq!(edited(source, std::slice::from_ref(&change)), expected, "{change:?} in {source:?}");
    }
}

#[test]
fn several_changes_are_one_edit() {
    let text = edited(
        "template: diary-v1 # t\nstate: stopped\n",
        &[Change::State(RunState::Deleted), Change::KeepData(Some(false))],
    );
    assert_eq!(text, "template: diary-v1 # t\nstate: deleted\nkeepData: false\n");
    let back = edited(&text, &[Change::State(RunState::Running), Change::KeepData(None)]);
    assert_eq!(back, "template: diary-v1 # t\nstate: running\n");
}

#[test]
fn what_is_so_already_is_left_untouched() {
    for (source, change) in [
        ("template: diary-v1", Change::State(RunState::Running)),
        ("template: diary-v1\nstate:   'stopped'\n", STOP),
        ("template: diary-v1\nmemory: 1024m\n", Change::Memory(Some(Bytes(1 << 30)))),
        ("template: diary-v1\n", Change::KeepData(None)),
    ] {
        assert_eq!(edited(source, &[change]), source);
    }
}

#[test]
fn any_token_survives_being_written() {
    for token in [
        "2026-11-22T10:00:00Z",
        "it's: #1 \"q\" \\ 한글 😀",
        "true",
        "null",
        "~",
        "12",
        "1e3",
        "0x1f",
        "- x",
        "? x",
        "{a: b}",
        "[a]",
        "&a",
        "*a",
        "!a",
        "%a",
        "@a",
        "`a",
        " spaces ",
        "a: b",
        "a #b",
        "|",
        ">",
        "'",
        "\"",
        "---",
        "...",
        "#",
        "=",
        "<<",
        "\u{2028}",
        "\u{85}",
    ] {
        for source in ["template: diary-v1\nredeploy: old # why\n", "{template: diary-v1}"] {
            let change = Change::Redeploy(token.to_owned());
            match edit_text("f.yaml", source, std::slice::from_ref(&change)) {
                Ok(text) => {
                    let manifest = parse("f.yaml", text.as_bytes()).unwrap();
                    assert_eq!(manifest.redeploy.as_deref(), Some(token), "{text}");
                }
                Err(error) => assert!(matches!(error, TextError::Refused(_)), "{token:?}: {error}"),
            }
        }
    }
}

#[test]
fn an_edit_that_cannot_be_exact_is_not_made() {
    let told = |source: &str, change: Change| edit_text("alice-diary.yaml", source, &[change]).unwrap_err().to_string();
    insta::assert_snapshot!(told("template: [", STOP), @"alice-diary.yaml:1:11: not valid YAML: unclosed bracket '[' (give every opening bracket its closing one); correct the file first. To delete the app instead, remove the file: its data stays");
    insta::assert_snapshot!(told("template: diary-v1", Change::KeepData(Some(false))), @"the change would make the file invalid: alice-diary.yaml:2:1: `keepData` only means something together with `state: deleted` (remove it, or write `state: deleted`)");
    insta::assert_snapshot!(told("template: diary-v1", Change::Memory(Some(Bytes(1)))), @"the change would make the file invalid: alice-diary.yaml:2:9: `memory`: 1 is too little (write 6m or more)");
    insta::assert_snapshot!(
        TextError::NotExact { file: "alice-diary.yaml".into(), key: "state" },
        @"alice-diary.yaml is written in a way that cannot be changed safely by program: change `state` by hand"
    );
}

#[test]
fn a_comment_line_is_never_lost() {
    // The comment belongs to the line that goes; keeping it is right, losing it would not be.
    let source = "template: diary-v1\n# about memory\nmemory: 1g\n# tail\n";
    assert_eq!(edited(source, &[Change::Memory(None)]), "template: diary-v1\n# about memory\n# tail\n");
}

#[test]
fn a_text_that_lost_a_comment_is_not_taken() {
    let source = "# top\ntemplate: diary-v1 # t\nenv: {A: '# text'}\n";
    for (text, comments, lines) in [
        ("# top\ntemplate: diary-v2   # t\nenv: {A: '# text'}\nstate: stopped\n", true, true),
        ("# top\ntemplate: diary-v1\nenv: {A: '# text'}\n", false, true),
        ("template: diary-v1 # t\nenv: {A: '# text'}\n", false, false),
        ("# other\ntemplate: diary-v1 # t\n", false, false),
    ] {
        assert_eq!((keeps_comments(source, text), keeps_comment_lines(source, text)), (comments, lines), "{text}");
    }
    // What yaml-edit would lose, we leave to the person.
    let source = "template: diary-v1\nmemory:\n  64m # why\n";
    let refused = edit_text("x.yaml", source, &[Change::Memory(Some(Bytes::mib(6)))]);
    assert_eq!(refused, Err(TextError::NotExact { file: "x.yaml".into(), key: "memory" }));
    assert!(edited(source, &[STOP]).ends_with("# why\nstate: stopped\n"));
}

#[test]
fn a_text_that_says_anything_but_what_is_wanted_is_not_taken() {
    let manifest = |text: &str| parse("x.yaml", text.as_bytes()).unwrap();
    let wanted = manifest("template: diary-v1\nenv: {A: '1'}\nstate: stopped");
    for (text, comments_kept, taken) in [
        ("template: diary-v1\nstate: stopped\nenv:\n  A: 1\n", true, true),
        ("template: diary-v1\nstate: stopped\nenv:\n  A: 1\n", false, false),
        ("template: diary-v1\nstate: stopped\n", true, false),
        ("template: diary-v1\nenv: {A: '2'}\nstate: stopped\n", true, false),
        ("template: diary-v1\nenv: {A: '1'}\n", true, false),
    ] {
        assert_eq!(accept(text.to_owned(), &manifest(text), &wanted, comments_kept).is_some(), taken, "{text}");
    }
}
