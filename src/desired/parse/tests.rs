use std::collections::BTreeMap;

use super::*;
use crate::desired::yaml::{MAX_DEPTH, MAX_NODES};
use crate::model::manifest::{BackupPolicy, RESERVED_ENV};
use crate::model::{Audience, MilliCpus, Restart, RestartPolicy, Seconds, Sleep, Strategy, Visitors};

fn refused(text: impl AsRef<[u8]>) -> String {
    match parse("alice-diary.yaml", text.as_ref()) {
        Ok(manifest) => panic!("accepted: {manifest:?}"),
        Err(diagnostic) => diagnostic.to_string().strip_prefix("alice-diary.yaml").unwrap().to_owned(),
    }
}

fn accepted(text: impl AsRef<[u8]>) -> Manifest {
    parse("alice-diary.yaml", text.as_ref()).unwrap_or_else(|diagnostic| panic!("{diagnostic}"))
}

/// Every text is refused with exactly this place, problem and remedy.
fn all_refused(cases: &[(&str, &str)]) {
    for (text, message) in cases {
        assert_eq!(refused(text), *message, "{text:?}");
    }
}

#[test]
fn one_line_is_a_manifest_and_all_else_is_the_default() {
    let manifest = accepted("template: diary-v1");
    assert_eq!(manifest.template.as_str(), "diary-v1");
    assert!(!manifest.enable_api);
    assert_eq!(manifest.state, RunState::Running);
    assert_eq!((manifest.memory, manifest.cpus, manifest.pids, manifest.restart), (None, None, None, None));
    assert_eq!((manifest.redeploy, manifest.keep_data, manifest.backup, manifest.disk), (None, None, None, None));
    assert_eq!((manifest.env, manifest.strategy, manifest.start_timeout), (BTreeMap::new(), None, None));
}

#[test]
fn every_key_is_read() {
    let manifest = accepted(
        "template: diary-v1\nenableApi: true\nstate: deleted\nmemory: 64m\ncpus: 1.25\npids: 7\nrestart: on-failure:3\n\
         env: {GREETING: hello}\nredeploy: again\nkeepData: false\nbackup: {schedule: \"0 3 * * *\", keep: 9}\ndisk: 2g\n\
         strategy: recreate\nstartTimeout: 90s\ncode: live\nvisitors: {view: guests, change: owner}\n\
         domains: [WWW.Example.kr, 일기.한국]\nsleep: {after: 30m}\n",
    );
    assert_eq!(
        manifest,
        Manifest {
            template: TemplateId::parse("diary-v1").unwrap(),
            enable_api: true,
            state: RunState::Deleted,
            memory: Some(Bytes::mib(64)),
            cpus: Some(MilliCpus(1250)),
            pids: Some(7),
            restart: Some(RestartPolicy::OnFailure(Some(3)).into()),
            env: BTreeMap::from([("GREETING".to_owned(), "hello".to_owned())]),
            redeploy: Some("again".to_owned()),
            keep_data: Some(false),
            backup: Some(BackupPolicy { schedule: Some("0 3 * * *".to_owned()), keep: Some(9) }),
            disk: Some(Bytes(2 << 30)),
            strategy: Some(Strategy::Recreate),
            start_timeout: Some(Seconds(90)),
            code: Some(CodeMode::Live),
            version: None,
            visitors: Visitors::new(Audience::Guests, Audience::Owner),
            domains: ["www.example.kr", "xn--ok0bs39b.xn--3e0b707e"].map(|name| name.parse().unwrap()).into(),
            sleep: Some(Sleep::After(Seconds(1800))),
        }
    );
}

#[test]
fn whether_it_sleeps_is_one_word_or_a_time_in_a_group() {
    let sleep = |text: &str| accepted(format!("template: diary-v1\nsleep: {text}")).sleep.unwrap();
    assert_eq!(sleep("never"), Sleep::Never);
    assert_eq!(sleep("{after: 10s}"), Sleep::After(Seconds(10)));
    let told =
        |text: &str| parse("x.yaml", format!("template: diary-v1\nsleep: {text}").as_bytes()).unwrap_err().to_string();
    for (text, says) in [
        ("30m", "`sleep: {after: 30m}`"),
        ("{after: 9s}", "write 10s to 168h"),
        ("{}", "`after` is missing"),
        ("{afer: 30m}", "did you mean `after`?"),
        ("{after: 30}", "length of time"),
    ] {
        assert!(told(text).contains(says), "{text}: {}", told(text));
    }
}

#[test]
fn what_a_restart_is_may_be_said_in_one_word_or_in_a_group() {
    let restart = |text: &str| accepted(format!("template: diary-v1\nrestart: {text}")).restart.unwrap();
    let group = |policy, on_hang| Restart { policy, on_hang };
    assert_eq!(restart("always"), group(Some(RestartPolicy::Always), None));
    assert_eq!(restart("{onHang: true}"), group(None, Some(true)));
    assert_eq!(restart("\n  policy: 'no'\n  onHang: false"), group(Some(RestartPolicy::No), Some(false)));
    assert_eq!(restart("{}"), group(None, None));
}

#[test]
fn values_are_taken_as_they_were_written() {
    let manifest = accepted(
        "template: \"diary-v1\"\nmemory: 67108864\ncpus: .5\nredeploy: 2026-11-22T10:00:00Z\n\
         env: {A: 1.10, B: yes, C: '', D: 0x10, E: true, F: \"two\\nlines\", G: 'null'}\n",
    );
    assert_eq!((manifest.memory, manifest.cpus), (Some(Bytes::mib(64)), Some(MilliCpus(500))));
    assert_eq!(manifest.redeploy.as_deref(), Some("2026-11-22T10:00:00Z"));
    let env: Vec<_> = manifest.env.values().map(String::as_str).collect();
    assert_eq!(env, ["1.10", "yes", "", "0x10", "true", "two\nlines", "null"]);
    assert_eq!(accepted("template: diary-v1\nredeploy: 12").redeploy.as_deref(), Some("12"));
}

#[test]
fn line_endings_marks_and_document_markers_make_no_difference() {
    let plain = accepted("template: diary-v1\nmemory: 64m\n");
    for text in [
        "\u{feff}template: diary-v1\r\nmemory: 64m\r\n",
        "---\ntemplate: diary-v1\nmemory: 64m\n...\n",
        "%YAML 1.2\n---\ntemplate: diary-v1\nmemory: 64m",
        "{template: diary-v1, memory: 64m}",
        "# comment\n\n  template: diary-v1 # comment\n  memory:   64m\n",
        "memory: 64m\ntemplate: diary-v1",
    ] {
        assert_eq!(accepted(text), plain, "{text:?}");
    }
}

#[test]
fn a_file_that_is_no_manifest_at_all_is_refused() {
    all_refused(&[
        ("", ": the file is empty (the smallest manifest is one line: `template: diary-v1`)"),
        ("# only a comment\n", ": the file is empty (the smallest manifest is one line: `template: diary-v1`)"),
        ("---\n", ": the file is empty (the smallest manifest is one line: `template: diary-v1`)"),
        (
            "- a",
            ":1:1: a manifest is made of `key: value` lines, not of a list (the smallest manifest is one line: `template: diary-v1`)",
        ),
        (
            "template:diary-v1",
            ":1:1: a manifest is made of `key: value` lines, not of a single value (write a space after the colon: `template: diary-v1`)",
        ),
        ("memory: 64m", ":1:1: `template` is missing (every manifest names one, for example `template: diary-v1`)"),
        (
            "template: diary-v1\n---\ntemplate: diary-v1",
            ":2:1: a second document starts here (`---`) (one file describes one app: put the other one in a file of its own)",
        ),
        ("template: diary-v1\nenv: {A: \"\0\"}", ":2:11: the file contains a zero byte (save it as plain text)"),
    ]);
    insta::assert_snapshot!(refused(b"template: diary-v1\nenv: {A: \xed\x95\x9c\xff}"), @":2:11: byte 0xff is not UTF-8 text (save the file in the encoding UTF-8)");
    insta::assert_snapshot!(refused(vec![b'#'; MAX_BYTES + 1]), @": the file is larger than 64 KiB (a manifest needs a few lines: remove what is not for this app)");
    let mut largest = b"template: diary-v1\n#".to_vec();
    largest.resize(MAX_BYTES, b'x');
    accepted(largest);
}

#[test]
fn keys_are_checked_where_they_stand() {
    all_refused(&[
        ("template: diary-v1\nmemmory: 1g", ":2:1: unknown key `memmory` (did you mean `memory`?)"),
        ("template: diary-v1\n  \nenableAPI: true", ":3:1: unknown key `enableAPI` (did you mean `enableApi`?)"),
        ("{template: diary-v1, keepdata: true}", ":1:22: unknown key `keepdata` (did you mean `keepData`?)"),
        ("template: diary-v1\nbackup: {kep: 1}", ":2:10: unknown key `kep` (did you mean `keep`?)"),
        (
            "template: diary-v1\nbackup: {hourly: 1}",
            ":2:10: unknown key `hourly` (the keys here are `schedule`, `keep`)",
        ),
        (
            "template: diary-v1\n포트: 1",
            ":2:1: unknown key `포트` (the keys here are `template`, `enableApi`, `state`, `memory`, `cpus`, `pids`, `restart`, `env`, `redeploy`, `keepData`, `backup`, `disk`, `strategy`, `startTimeout`, `code`, `version`, `visitors`, `domains`, `sleep`)",
        ),
        (
            "template: diary-v1\nmemory: 64m\nmemory: 65m",
            ":3:1: key `memory` is written twice (keep this one or the one on line 2)",
        ),
        (
            "template: diary-v1\nenv: {A: 1, A: 2}",
            ":2:13: key `A` is written twice (keep this one or the one on line 2)",
        ),
        (
            "template: diary-v1\n\"memory\": 64m\nmemory: 65m",
            ":3:1: key `memory` is written twice (keep this one or the one on line 2)",
        ),
        ("? [a]\n: b", ":1:3: a key must be a word, not a list (write `key: value`)"),
        ("<<: {template: diary-v1}", ":1:1: unknown key `<<` (merge keys are not accepted: write the lines out)"),
    ]);
}

#[test]
fn values_are_checked_where_they_stand() {
    all_refused(&[
        (
            "template: Diary",
            ":1:11: `template`: template id `Diary` is not valid (use 2 to 40 lower-case letters, digits and hyphens, starting with a letter, for example `diary-v1`)",
        ),
        ("template:\nmemory: 64m", ":1:1: `template` has no value (write a value, or remove the line)"),
        ("template: [a]", ":1:11: `template` is a list (write the name of a template such as `diary-v1`)"),
        (
            "template: diary-v1\nenableApi: yes",
            ":2:12: `enableApi`: `yes` is neither true nor false (write `true` or `false`, without quotes)",
        ),
        (
            "template: diary-v1\nenableApi: 'true'",
            ":2:12: `enableApi`: `true` is neither true nor false (write `true` or `false`, without quotes)",
        ),
        ("template: diary-v1\nstate: stoped", ":2:8: `state`: `stoped` is not a state (did you mean `stopped`?)"),
        ("template: diary-v1\nstate: on", ":2:8: `state`: `on` is not a state (did you mean `running`?)"),
        ("template: diary-v1\nstate: stop", ":2:8: `state`: `stop` is not a state (did you mean `stopped`?)"),
        (
            "template: diary-v1\nstate: asleep",
            ":2:8: `state`: `asleep` is not a state (write one of `running`, `stopped`, `deleted`)",
        ),
        ("template: diary-v1\nmemory: 1TB", ":2:9: `memory`: `1TB` is not a size (did you mean `1024g`?)"),
        (
            "template: diary-v1\nmemory: lots",
            ":2:9: `memory`: `lots` is not a size (write bytes with an optional k, m or g, for example `256m`)",
        ),
        ("template: diary-v1\nmemory: 5m", ":2:9: `memory`: 5m is too little (write 6m or more)"),
        ("template: diary-v1\nmemory: {a: b}", ":2:9: `memory` is a group of keys (write a size such as `256m`)"),
        ("template: diary-v1\nmemory: ~", ":2:1: `memory` has no value (write a value, or remove the line)"),
        ("template: diary-v1\ndisk: 1023k", ":2:7: `disk`: 1023k is too little (write 1m or more)"),
        (
            "template: diary-v1\ncpus: 0",
            ":2:7: `cpus`: `0` is not a number of CPU cores (write a number above 0 with at most three decimals, for example `0.5`)",
        ),
        (
            "template: diary-v1\npids: 0",
            ":2:7: `pids`: `0` is not accepted (write a whole number from 1 on, without quotes, for example `128`)",
        ),
        (
            "template: diary-v1\npids: \"128\"",
            ":2:7: `pids`: `128` is not accepted (write a whole number from 1 on, without quotes, for example `128`)",
        ),
        (
            "template: diary-v1\npids: 99999999999999999999",
            ":2:7: `pids`: `99999999999999999999` is not accepted (write a whole number from 1 on, without quotes, for example `128`)",
        ),
        ("template: diary-v1\ncpus: 0.009", ":2:7: `cpus`: 0.009 is too little (write 0.01 or more)"),
        (
            "template: diary-v1\nrestart: never",
            ":2:10: `restart`: `never` is not a restart policy (use `no`, `always`, `unless-stopped`, `on-failure` or `on-failure:3`)",
        ),
        (
            "template: diary-v1\nstrategy: roling",
            ":2:11: `strategy`: `roling` is not a strategy (did you mean `rolling`?)",
        ),
        (
            "template: diary-v1\nstartTimeout: 90",
            ":2:15: `startTimeout`: `90` is not a length of time (write a whole number with s, m or h, for example `90s`)",
        ),
        (
            "template: diary-v1\nstartTimeout: 601s",
            ":2:15: `startTimeout`: 601s is not accepted (write 1s to 10m, for example `90s`)",
        ),
        (
            "template: diary-v1\nstartTimeout: 0s",
            ":2:15: `startTimeout`: 0s is not accepted (write 1s to 10m, for example `90s`)",
        ),
        (
            "template: diary-v1\nredeploy: \"a\\nb\"",
            ":2:11: `redeploy` is longer than 200 characters or has more than one line (write any short text, for example the time)",
        ),
        (
            "template: diary-v1\nbackup: {schedule: daily}",
            ":2:20: `schedule`: `daily` needs five fields, not 1 (write `minute hour day month weekday`, for example `0 3 * * *`)",
        ),
        (
            "template: diary-v1\nbackup: {keep: 1001}",
            ":2:16: `keep`: `1001` is not accepted (write a whole number from 1 to 1000, without quotes, for example `7`)",
        ),
        (
            "template: diary-v1\nbackup: nightly",
            ":2:9: `backup` is a single value (write a group, for example `backup: {schedule: \"0 3 * * *\", keep: 7}`)",
        ),
        (
            "template: diary-v1\nkeepData: true",
            ":2:1: `keepData` only means something together with `state: deleted` (remove it, or write `state: deleted`)",
        ),
    ]);
    assert!(refused(format!("template: diary-v1\nredeploy: {}", "x".repeat(201))).starts_with(":2:11: `redeploy` is"));
    accepted(format!("template: diary-v1\nredeploy: {}", "한".repeat(200)));
}

#[test]
fn environment_variables_are_checked_and_their_values_never_shown() {
    all_refused(&[
        ("template: diary-v1\nenv: {PORT: 1}", ":2:7: `env`: `PORT` is set by the platform (choose another name)"),
        (
            "template: diary-v1\nenv: {1A: hunter2}",
            ":2:7: `env`: `1A` is not a variable name (use letters, digits and underscores, not starting with a digit, for example `GREETING`)",
        ),
        (
            "template: diary-v1\nenv:\n  KEY: [hunter2]",
            ":3:8: `env`: `KEY` is a list (a variable holds one text: write it in quotes)",
        ),
        (
            "template: diary-v1\nenv:\n  KEY:",
            ":3:3: `env`: `KEY` has no value (write one, `\"\"` for an empty one, or remove the line)",
        ),
        (
            "template: diary-v1\nenv:\n  KEY: \"hunter2\\0\"",
            ":3:8: `env`: the value of `KEY` contains a zero character (write text without `\\0`)",
        ),
        (
            "template: diary-v1\nenv: [A=1]",
            ":2:6: `env` is a list (write a group of variables, for example `env: {GREETING: hello}`)",
        ),
    ]);
    for name in RESERVED_ENV {
        assert!(refused(format!("template: diary-v1\nenv: {{{name}: x}}")).contains("set by the platform"), "{name}");
    }
}

#[test]
fn an_error_never_quotes_another_line() {
    let secret = "template: diary-v1\nenv:\n  TOKEN: hunter2\n";
    for broken in [
        "memmory: 1g",
        "memory: [",
        "\tmemory: 1g",
        "memory: 'x",
        " bad: indent",
        "a: b: c",
        "*a",
        "&a b",
        "---",
        "env: x",
        "{",
        "]",
        "\"",
    ] {
        let message = refused(format!("{secret}{broken}\n"));
        assert!(!message.contains("hunter2"), "{broken:?}: {message}");
    }
}

#[test]
fn broken_yaml_is_told_with_its_place_and_a_remedy() {
    all_refused(&[
        (
            "template: diary-v1\n\tmemory: 64m",
            ":2:1: not valid YAML: while scanning a plain scalar, found a tab (indent with spaces instead of tabs)",
        ),
        ("template: 'x", ":1:11: not valid YAML: unclosed quote (close the quote on this line)"),
        (
            "{template: diary-v1",
            ":1:1: not valid YAML: unclosed bracket '{' (give every opening bracket its closing one)",
        ),
        (
            "template: a: b",
            ":1:12: not valid YAML: mapping values are not allowed in this context (if the value contains a colon, put it in quotes)",
        ),
        (
            "template: diary-v1\nenv:\n  A: 1\n B: 2\n",
            ":4:2: not valid YAML: while parsing a block mapping, did not find expected key (check the indentation, the colons and the quotes here)",
        ),
    ]);
}

#[test]
fn what_could_explode_is_refused_before_it_does() {
    all_refused(&[
        (
            "template: &a diary-v1\nredeploy: *a",
            ":1:11: anchors (`&name`) are not accepted (write each value out; if it is text that starts with `&`, put it in quotes)",
        ),
        (
            "template: diary-v1\nenv: &a\n  A: 1",
            ":2:6: anchors (`&name`) are not accepted (write each value out; if it is text that starts with `&`, put it in quotes)",
        ),
        (
            "template: *a",
            ":1:11: aliases (`*name`) are not accepted (write the value out; if it is text that starts with `*`, put it in quotes)",
        ),
        (
            "template: !!str diary-v1",
            ":1:11: tags such as `!!str` are not accepted (leave the tag out; to make a value text put it in quotes)",
        ),
    ]);
    let bomb = "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\ntemplate: diary-v1";
    assert!(refused(bomb).contains("anchors (`&name`) are not accepted"));
    for deep in ["[".repeat(65_000), "{a: ".repeat(16_000), "- ".repeat(32_000), "? ".repeat(32_000)] {
        assert!(refused(&deep).contains(&format!("nested more than {MAX_DEPTH} levels deep")), "{}", &deep[..8]);
    }
    let wide = format!("template: diary-v1\nenv: [{}]", "1,".repeat(30_000));
    assert!(refused(wide).contains(&format!("more than {MAX_NODES} keys and values")));
}

#[test]
fn long_values_are_cut_in_messages() {
    let message = refused(format!("template: diary-v1\nmemory: {}", "9".repeat(60_000)));
    assert!(message.len() < 300 && message.contains('…'), "{message}");
    let message = refused(format!("template: diary-v1\n? {}\n: x", "k".repeat(900)));
    assert!(message.len() < 400, "{message}");
}

#[test]
fn a_list_of_names_is_refused_name_by_name() {
    let told = |text: &str| {
        let problems = super::check("a.yaml", format!("template: diary-v1\ndomains: {text}\n").as_bytes()).unwrap_err();
        let all = std::iter::once(problems.first).chain(problems.others);
        all.map(|one| format!("{}:{} {}", one.line, one.column, one.message)).collect::<Vec<_>>().join("; ")
    };
    insta::assert_snapshot!(told("www.example.kr"), @"2:10 `domains` is a single value");
    insta::assert_snapshot!(told("{a: b}"), @"2:10 `domains` is a group of keys");
    insta::assert_snapshot!(told(""), @"2:1 `domains` has no value");
    insta::assert_snapshot!(told("[a.kr, [b.kr], 10.0.0.1, A.KR]"), @"2:17 `domains`: a list is no host name; 2:25 `domains`: `10.0.0.1` is an address or has a port; 2:35 `domains`: `a.kr` is written twice");
    let many: Vec<_> = (0..30).map(|n| format!("a{n}.kr")).collect();
    insta::assert_snapshot!(told(&format!("[{}]", many.join(", "))), @"2:161 `domains`: `a20.kr` is one too many");
    assert_eq!(accepted("template: diary-v1\ndomains: []\n").domains, []);
}
