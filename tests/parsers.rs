//! Whatever bytes come, the parsers answer; whatever is written, an edit changes only what it was asked to.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::Path;

use minipaas::desired::{Change, TextError, edit_text, parse, render};
use minipaas::model::{
    AppKey, Audience, Bytes, Manifest, MilliCpus, RestartPolicy, RunState, Seconds, Sleep, Strategy as Takeover,
    VersionId, Visitors,
};
use minipaas::settings::{Bases, parse_env};
use proptest::prelude::*;

/// Texts of the pieces that manifests and settings are made of: they get further than random bytes.
fn pieces() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        prop::sample::select(vec![
            "template",
            "diary-v1",
            "env",
            "memory",
            "state",
            ":",
            ": ",
            "\n",
            "\n  ",
            "\n\t",
            "\r\n",
            "\r",
            "- ",
            "? ",
            "[",
            "]",
            "{",
            "}",
            ",",
            "&a",
            " *a",
            "!!str ",
            "|",
            "|-\n",
            ">",
            ">+2\n",
            "\"",
            "'",
            "\\",
            "\\u12",
            "#",
            " # c",
            "---",
            "\n...\n",
            "%YAML 1.2\n",
            "%TAG ! x\n",
            "<<",
            "~",
            "null",
            "\0",
            "\u{feff}",
            "\u{85}",
            "\u{2028}",
            "한글",
            "@",
            "`",
            "PAAS_DOMAIN",
            "PORTAL_PORT",
            "=",
            "=\"",
            "='",
            "export ",
            "${X}",
        ])
        .prop_map(|text| text.as_bytes().to_vec()),
        prop::collection::vec(any::<u8>(), 1..4),
    ];
    prop::collection::vec(piece, 0..200).prop_map(|pieces| pieces.concat())
}

fn both_answer(bytes: &[u8]) -> Result<(), TestCaseError> {
    if let Err(diagnostic) = parse("x.yaml", bytes) {
        let lines = u32::try_from(bytes.iter().filter(|byte| **byte == b'\n' || **byte == b'\r').count()).unwrap() + 1;
        // The parser may place the end of the text one line below the last.
        prop_assert!(diagnostic.line <= lines + 1, "{diagnostic:?}");
        prop_assert!(diagnostic.message.chars().count() < 400, "{diagnostic:?}");
    }
    let text = String::from_utf8_lossy(bytes);
    let bases = Bases { file: Path::new("/"), process: Path::new("/") };
    let problems = parse_env(&text, ".env", bases, &|_| None).1;
    // One verdict per line, and one per known key for its value: that is all the work there is.
    prop_assert!(problems.len() <= text.lines().count() + 64, "{} problems", problems.len());
    for problem in problems {
        prop_assert!(problem.to_string().lines().count() == 1, "{problem}");
    }
    Ok(())
}

/// A line of a manifest file in one of its spellings.
fn line(key: &'static str, values: Vec<&'static str>) -> impl Strategy<Value = String> {
    let comment = prop::sample::select(vec!["", " # why", "   #", "\n# a line of its own", "\n\n"]);
    (prop::option::weighted(0.4, prop::sample::select(values)), comment).prop_map(move |(value, comment)| {
        let Some(value) = value else { return String::new() };
        // Behind a block of text there is no place for a comment: it would be text.
        let comment = if value.starts_with(['|', '>']) { "" } else { comment };
        format!("{key}: {value}{comment}\n")
    })
}

/// Valid manifests, with comments, in any order.
fn source() -> impl Strategy<Value = String> {
    let lines = (
        line("enableApi", vec!["true", "false", "  true"]),
        line("state", vec!["running", "'stopped'", "\"running\""]),
        line("memory", vec!["64m", "'1g'", "\n  67108864", "|-\n  64m"]),
        line("cpus", vec!["1", ".5", "\"0.25\""]),
        line("pids", vec!["7"]),
        line("restart", vec!["no", "'always'", "on-failure:3"]),
        line("env", vec!["{A: '# not a comment', B: 2}", "\n  A: 1\n  # inside\n  B: \"x: y\"", "{}"]),
        line("redeploy", vec!["2026-11-22T10:00:00Z", "'x'", ">-\n  folded\n  text"]),
        line("backup", vec!["{keep: 3}", "\n    schedule: \"0 3 * * *\""]),
        line("disk", vec!["2g"]),
        line("strategy", vec!["rolling", "recreate"]),
        line("startTimeout", vec!["90s", "'2m'"]),
    );
    let lines = lines.prop_map(|(a, b, c, d, e, f, g, h, i, j, k, l)| vec![a, b, c, d, e, f, g, h, i, j, k, l]);
    let ends = prop::sample::select(vec!["", "# tail\n", "\n\n"]);
    let form = prop::sample::select(vec!["\n", "\r\n"]);
    (lines.prop_shuffle(), ends, form, any::<bool>()).prop_map(|(lines, end, newline, final_newline)| {
        let text = format!("# top\ntemplate: diary-v1 # the template\n{}{end}", lines.concat());
        let text = if final_newline { text.as_str() } else { text.trim_end() };
        text.replace('\n', newline)
    })
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        prop::sample::select(vec![RunState::Running, RunState::Stopped, RunState::Deleted]).prop_map(Change::State),
        "[^\\p{C}]{0,20}".prop_map(Change::Redeploy),
        any::<bool>().prop_map(Change::EnableApi),
        prop::option::of((6u64..5000).prop_map(Bytes::mib)).prop_map(Change::Memory),
        prop::option::of((10u32..100_000).prop_map(MilliCpus)).prop_map(Change::Cpus),
        prop::option::of(1u32..).prop_map(Change::Pids),
        prop::option::of((1u32..10).prop_map(|n| RestartPolicy::OnFailure(Some(n)))).prop_map(Change::Restart),
        prop::option::of((1u64..5000).prop_map(Bytes::mib)).prop_map(Change::Disk),
        prop::option::of(Just(Takeover::Recreate)).prop_map(Change::Strategy),
        prop::option::of(any_visitors()).prop_map(Change::Visitors),
        prop::collection::btree_set("[a-z]{1,9}\\.(kr|한국)", 0..4)
            .prop_map(|names| Change::Domains(names.iter().map(|name| name.parse().unwrap()).collect())),
        prop::option::of(any_sleep()).prop_map(Change::Sleep),
        prop::option::of("[0-9a-f]{16}")
            .prop_map(|text| Change::Version(text.and_then(|text| VersionId::parse(&text)))),
    ]
}

fn any_sleep() -> impl Strategy<Value = Sleep> {
    prop_oneof![Just(Sleep::Never), (10u32..=604_800).prop_map(|after| Sleep::After(Seconds(after)))]
}

fn any_visitors() -> impl Strategy<Value = Visitors> {
    let audience = || prop::sample::select(Audience::ALL.to_vec());
    (audience(), audience())
        .prop_filter_map("who may change something may see it", |(view, change)| Visitors::new(view, change))
}

/// The manifest with the changed key out of the picture.
fn without(manifest: &Manifest, change: &Change) -> Manifest {
    let mut manifest = manifest.clone();
    match change {
        Change::State(_) => manifest.state = RunState::Running,
        Change::KeepData(_) => manifest.keep_data = None,
        Change::Redeploy(_) => manifest.redeploy = None,
        Change::EnableApi(_) => manifest.enable_api = false,
        Change::Memory(_) => manifest.memory = None,
        Change::Cpus(_) => manifest.cpus = None,
        Change::Pids(_) => manifest.pids = None,
        Change::Restart(_) => manifest.restart = None,
        Change::Disk(_) => manifest.disk = None,
        Change::Strategy(_) => manifest.strategy = None,
        Change::Visitors(_) => manifest.visitors = None,
        Change::Sleep(_) => manifest.sleep = None,
        Change::Version(_) => manifest.version = None,
        Change::Domains(_) => manifest.domains.clear(),
    }
    manifest
}

fn comments(text: &str) -> Vec<String> {
    let comment = |line: &str| {
        let at = if line.trim_start().starts_with('#') { line.find('#') } else { line.rfind(" #").map(|at| at + 1) };
        at.map(|at| line[at..].trim_end().to_owned())
    };
    text.lines().filter(|line| !line.contains("not a comment")).filter_map(comment).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_get_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..=65_536)) {
        both_answer(&bytes)?;
    }

    #[test]
    fn one_piece_for_ever_gets_an_answer(piece in pieces()) {
        let bytes: Vec<u8> = piece.iter().copied().cycle().take(if piece.is_empty() { 0 } else { 65_536 }).collect();
        both_answer(&bytes)?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_made_of_the_right_pieces_gets_an_answer(bytes in pieces()) {
        both_answer(&bytes)?;
    }

    #[test]
    fn an_edit_changes_its_key_and_nothing_else(source in source(), change in change()) {
        let before = parse("x.yaml", source.as_bytes()).map_err(|error| TestCaseError::fail(format!("{error}\n{source}")))?;
        match edit_text("x.yaml", &source, std::slice::from_ref(&change)) {
            Ok(text) => {
                let after = parse("x.yaml", text.as_bytes()).unwrap();
                prop_assert_eq!(without(&before, &change), without(&after, &change));
                // Removing a line may take its own comment along; changing or adding one may not.
                if after != without(&after, &change) {
                    prop_assert_eq!(comments(&source), comments(&text), "{:?}\n{}\n{}", change, source, text);
                }
                prop_assert_eq!(source.contains('\r'), text.contains('\r'));
            }
            // A value on a line of its own with a comment behind it is left to the person, and nothing else is.
            Err(TextError::NotExact { key: "memory", .. }) if source.replace('\r', "").contains("\n  67108864") => {}
            Err(TextError::NotExact { .. }) => prop_assert!(false, "{change:?} in\n{source}"),
            Err(error) => prop_assert!(matches!(change, Change::Redeploy(_)), "{error}"),
        }
    }

    #[test]
    fn a_rendered_manifest_reads_back_as_it_was(source in source(), token in any::<String>()) {
        let mut manifest = parse("x.yaml", source.as_bytes()).unwrap();
        manifest.env.insert("TOKEN".to_owned(), token.replace('\0', ""));
        let text = render(&AppKey::parse("alice-diary").unwrap(), &manifest);
        prop_assert_eq!(parse("y.yaml", text.as_bytes()), Ok(manifest), "{}", text);
    }
}
