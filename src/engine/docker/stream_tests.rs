use super::*;

/// Feeds the bytes cut at every multiple of `step`.
fn run<D: Decoder + Default>(bytes: &[u8], step: usize) -> (Vec<D::Item>, Result<(), Failure>) {
    let mut decoder = D::default();
    let mut items = VecDeque::new();
    for piece in bytes.chunks(step) {
        if let Err(failure) = decoder.feed(piece, &mut items) {
            return (items.into(), Err(failure));
        }
    }
    let end = decoder.finish(&mut items);
    (items.into(), end)
}

fn frame(source: u8, text: &[u8]) -> Vec<u8> {
    let mut bytes = vec![source, 0, 0, 0];
    bytes.extend_from_slice(&u32::try_from(text.len()).unwrap().to_be_bytes());
    bytes.extend_from_slice(text);
    bytes
}

fn texts(lines: &[LogLine]) -> Vec<(LogSource, &str)> {
    lines.iter().map(|line| (line.source, line.text.as_str())).collect()
}

#[test]
fn log_lines_are_whole_however_the_bytes_are_cut() {
    let bytes =
        [frame(1, b"one\ntw"), frame(2, b"err 1\r\n"), frame(1, b""), frame(1, b"o\n\nthree"), frame(2, b"last")]
            .concat();
    let expected = [
        (LogSource::Stdout, "one"),
        (LogSource::Stderr, "err 1"),
        (LogSource::Stdout, "two"),
        (LogSource::Stdout, ""),
        (LogSource::Stdout, "three"),
        (LogSource::Stderr, "last"),
    ];
    for step in 1..=bytes.len() {
        let (lines, end) = run::<Logs>(&bytes, step);
        assert!(end.is_ok(), "step {step}");
        assert_eq!(texts(&lines), expected, "step {step}");
    }
}

#[test]
fn a_terminals_log_has_no_frames() {
    for step in [1, 3, 100] {
        let (lines, end) = run::<Logs>(b"hello\r\nworld", step);
        assert!(end.is_ok());
        assert_eq!(texts(&lines), [(LogSource::Stdout, "hello"), (LogSource::Stdout, "world")]);
    }
}

#[test]
fn an_endless_line_comes_in_pieces_cut_between_characters() {
    let text = "é".repeat(LOG_LINE_LIMIT);
    let bytes: Vec<u8> = text.as_bytes().chunks(16_383).flat_map(|piece| frame(1, piece)).collect();
    let (lines, end) = run::<Logs>(&bytes, 10_000);
    assert!(end.is_ok());
    assert!(lines.iter().all(|line| line.text.len() <= LOG_LINE_LIMIT));
    assert_eq!(lines.into_iter().map(|line| line.text).collect::<String>(), text);
}

#[test]
fn a_log_cut_off_within_a_frame_says_so_after_what_came() {
    let bytes = frame(1, b"one\ntwo\n");
    let (lines, end) = run::<Logs>(&bytes[..bytes.len() - 2], 100);
    assert_eq!(texts(&lines), [(LogSource::Stdout, "one"), (LogSource::Stdout, "tw")]);
    assert!(matches!(end, Err(Failure::Broken(None))), "{end:?}");
}

#[test]
fn events_of_unknown_kinds_are_passed_on() {
    let bytes = br#"{"Type":"moon","Action":"rise","Actor":{"ID":"m"},"timeNano":5}
{"Type":"container","Action":"start","Actor":{"ID":"c","Attributes":{"name":"x"}},"timeNano":7}
"#;
    for step in [1, 7, 1000] {
        let (events, end) = run::<Events>(bytes, step);
        assert!(end.is_ok());
        let seen: Vec<_> = events.iter().map(|e| (e.object.as_str(), e.action.as_str(), e.at_nanos)).collect();
        assert_eq!(seen, [("moon", "rise", 5), ("container", "start", 7)]);
    }
}

#[test]
fn an_event_cut_in_the_middle_is_a_broken_connection_and_nonsense_is_not() {
    let (events, end) = run::<Events>(b"{\"Type\":\"container\"}\n{\"Type\":\"cont", 4);
    assert_eq!(events.len(), 1);
    assert!(matches!(end, Err(Failure::Broken(None))), "{end:?}");
    let (_, end) = run::<Events>(b"<html>\n", 4);
    assert!(matches!(end, Err(Failure::Garbled(_))), "{end:?}");
    let (_, end) = run::<Events>(&vec![b'['; JSON_LINE_LIMIT + 100], 8192);
    assert!(matches!(end, Err(Failure::Garbled(_))), "{end:?}");
}

#[test]
fn a_build_speaks_in_lines_and_ends_with_the_image() {
    let bytes = br#"{"stream":"Step 1/2 : FROM x\n"}
{"status":"Pulling","id":"abc","progressDetail":{}}
{"status":"Downloading","id":"abc","progress":"[==>   ]","progressDetail":{"current":1}}
{"stream":" --- a"}
{"stream":"nd b\nc"}
{"aux":{"ID":"sha256:1"}}
{"stream":"Successfully built\n"}
"#;
    for step in [1, 13, 10_000] {
        let (events, end) = run::<Build>(bytes, step);
        assert!(end.is_ok());
        let expected = ["Step 1/2 : FROM x", "abc: Pulling", " --- and b", "cSuccessfully built"];
        let mut expected: Vec<_> = expected.map(|line| BuildEvent::Output(line.to_owned())).into();
        expected.push(BuildEvent::Built("sha256:1".to_owned()));
        assert_eq!(events, expected);
    }
}

#[test]
fn a_failed_build_ends_with_its_reason() {
    let bytes = br#"{"stream":"RUN false"}
{"errorDetail":{"code":1,"message":"returned a non-zero code: 1"},"error":"returned a non-zero code: 1"}
{"stream":"never seen\n"}
"#;
    let (events, end) = run::<Build>(bytes, 10_000);
    assert_eq!(events, [BuildEvent::Output("RUN false".to_owned())]);
    assert!(matches!(&end, Err(Failure::Refused(text)) if text == "returned a non-zero code: 1"), "{end:?}");
    let (_, end) = run::<Build>(b"{\"stream\":\"Step 1\\n\"}\n", 100);
    assert!(matches!(end, Err(Failure::Broken(None))), "no image, no success: {end:?}");
}
