//! How much work a text can make: every look at a character is counted, so a slow machine changes nothing.

use std::cell::Cell;

use proptest::prelude::*;
use serde_yaml::granit_parser::{BorrowedInput, Input, StrInput};

use super::reader;
use crate::desired::parse::MAX_BYTES;

/// Looks per byte of text, at most; the worst text known takes 11.
const LOOKS_PER_BYTE: u64 = 16;

/// The text, with a count of how often it was looked at.
struct Counted<'a> {
    text: StrInput<'a>,
    looks: &'a Cell<u64>,
}

impl Counted<'_> {
    fn count(&self, looks: usize) {
        self.looks.set(self.looks.get() + u64::try_from(looks).unwrap());
    }
}

/// Only what has to be there: whatever else the parser wants of its input is made of these, look by look.
impl Input for Counted<'_> {
    fn lookahead(&mut self, count: usize) {
        self.text.lookahead(count);
    }
    fn buflen(&self) -> usize {
        self.text.buflen()
    }
    fn bufmaxlen(&self) -> usize {
        self.text.bufmaxlen()
    }
    fn raw_read_ch(&mut self) -> char {
        self.count(1);
        self.text.raw_read_ch()
    }
    fn raw_read_non_breakz_ch(&mut self) -> Option<char> {
        self.count(1);
        self.text.raw_read_non_breakz_ch()
    }
    fn skip(&mut self) {
        self.count(1);
        self.text.skip();
    }
    fn skip_n(&mut self, count: usize) {
        self.count(count);
        self.text.skip_n(count);
    }
    fn peek(&self) -> char {
        self.count(1);
        self.text.peek()
    }
    fn peek_nth(&self, n: usize) -> char {
        self.count(n + 1);
        self.text.peek_nth(n)
    }
    fn byte_offset(&self) -> Option<usize> {
        self.text.byte_offset()
    }
    fn slice_bytes(&self, start: usize, end: usize) -> Option<&str> {
        self.count(end - start);
        self.text.slice_bytes(start, end)
    }
}

impl<'a> BorrowedInput<'a> for Counted<'a> {
    fn slice_borrowed(&self, start: usize, end: usize) -> Option<&'a str> {
        self.count(end - start);
        self.text.slice_borrowed(start, end)
    }
}

fn looks(text: &str) -> u64 {
    let looks = Cell::new(0);
    // Refused or not: what counts is that it came to an end.
    let _ = reader(text, Counted { text: StrInput::new(text), looks: &looks }).read();
    looks.get()
}

fn check(text: &str) -> Result<(), TestCaseError> {
    let (looks, bytes) = (looks(text), u64::try_from(text.len()).unwrap());
    let most = LOOKS_PER_BYTE * (bytes + 64);
    prop_assert!(looks <= most, "{looks} looks at {bytes} bytes, at most {most} are allowed");
    Ok(())
}

/// A text of that size: one piece again and again, between a beginning and an end.
fn filled(start: &str, piece: &str, end: &str) -> String {
    let room = MAX_BYTES.saturating_sub(start.len() + end.len()) / piece.len().max(1);
    format!("{start}{}{end}", piece.repeat(room))
}

const PIECES: [&str; 32] = [
    "[", "]", "{", "}", "a", " ", "\t", "\n", "\r\n", ":", ": ", "- ", "? ", ",", "#", " # ", "\"", "'", "\\", "&a ",
    "*a ", "!t ", "|\n", ">", "%A\n", "---\n", "...\n", "\n ", "가", "\u{feff}", "<<: ", "a: ",
];

#[test]
fn the_texts_that_hurt_other_parsers_are_read_in_bounded_work() {
    for start in ["", "a: ", "a: [", "a: {", "a: \"", "a: |\n ", "- "] {
        for piece in PIECES {
            for end in ["", "\""] {
                let text = filled(start, piece, end);
                if let Err(error) = check(&text) {
                    panic!("{start:?}, {piece:?} for ever, {end:?}: {error}");
                }
            }
        }
    }
    let aliases: Vec<String> = (1..40).map(|n| format!("a{n}: &a{n} [*a{}, *a{}]\n", n - 1, n - 1)).collect();
    let aliases = aliases.concat();
    check(&aliases).unwrap();
    let deep: Vec<String> = (0..300).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect();
    let deep = deep.concat();
    check(&deep).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_repeats_is_read_in_bounded_work(
        start in prop::collection::vec(prop::sample::select(PIECES.to_vec()), 0..6),
        piece in prop::collection::vec(prop::sample::select(PIECES.to_vec()), 1..8),
        end in prop::collection::vec(prop::sample::select(PIECES.to_vec()), 0..4),
    ) {
        check(&filled(&start.concat(), &piece.concat(), &end.concat()))?;
    }

    #[test]
    fn any_text_is_read_in_bounded_work(pieces in prop::collection::vec(prop::sample::select(PIECES.to_vec()), 0..16_000)) {
        check(&pieces.concat())?;
    }
}
