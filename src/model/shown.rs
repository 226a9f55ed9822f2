//! Text that others wrote, as it may stand in a message: a file's name, a value that is quoted back, a request's path.
//!
//! Whoever chooses a name must not write lines of our log, drive the reader's terminal, or turn the order of what stands
//! around the name.
//!
//! # Guarantees
//! - No control character comes out, none that changes the direction of text, and no separator of lines or paragraphs: each
//!   is written as Rust would write it in a literal, `\n` or `\u{202e}`.
//! - It is no longer than asked for, plus the three bytes of the `…` that stands for what was left out.
//! - Shown text that is shown again stays as it is, so that messages may be made of messages.

use std::borrow::Cow;
use std::fmt::{self, Write as _};
use std::path::Path;

/// Most bytes of a name.
pub const NAME: usize = 200;
/// Most bytes of a line of an app's log that is quoted.
const OUTPUT: usize = 1_000;
/// Most bytes of a whole message.
pub const MESSAGE: usize = 2_000;

/// A text that is escaped and cut off as it is written out.
#[derive(Clone, PartialEq, Eq)]
pub struct Shown<'a> {
    text: Cow<'a, str>,
    most: usize,
    cut: Cut,
}

/// What is left out of a text that is too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cut {
    End,
    /// A path is known by how it begins and by what it leads to.
    Middle,
}

impl<'a> Shown<'a> {
    /// A name: at most [`NAME`] bytes.
    #[must_use]
    pub fn new(text: &'a str) -> Self {
        Self::at_most(text, NAME)
    }

    #[must_use]
    pub fn at_most(text: &'a str, most: usize) -> Self {
        Self { text: Cow::Borrowed(text), most, cut: Cut::End }
    }

    /// A path: at most [`NAME`] bytes, the rest is left out of its middle.
    #[must_use]
    pub fn path(path: &'a Path) -> Self {
        Self { text: path.to_string_lossy(), most: NAME, cut: Cut::Middle }
    }
}

/// A whole message made of other texts: at most [`MESSAGE`] bytes.
#[must_use]
pub fn message(text: &str) -> String {
    Shown::at_most(text, MESSAGE).to_string()
}

/// A line that a program wrote, for an excerpt of its log: without its colours, and at most 1,000 bytes.
#[must_use]
pub fn output(line: &str) -> String {
    let mut plain = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(c) = rest.chars().next() {
        let length = colour_sequence(rest);
        match c {
            '\t' => plain.push(' '),
            c if length.is_none() => plain.push(c),
            _ => {}
        }
        rest = &rest[length.unwrap_or(c.len_utf8())..];
    }
    Shown::at_most(&plain, OUTPUT).to_string()
}

/// The same text with its colours, for a terminal. Colours that are cut off are ended.
#[must_use]
pub fn coloured(text: &str, most: usize) -> String {
    let mut shown = String::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let colour = colour_sequence(rest);
        let length = colour.unwrap_or(c.len_utf8());
        let start = shown.len();
        match colour {
            Some(length) => shown.push_str(&rest[..length]),
            None if is_hidden(c) => shown.extend(c.escape_default()),
            None => shown.push(c),
        }
        if shown.len() > most {
            shown.truncate(start);
            shown.push_str("…\x1b[0m");
            break;
        }
        rest = &rest[length..];
    }
    shown
}

/// Length of the `ESC [ … m` that the text starts with: all it changes is how the text after it looks.
#[must_use]
pub fn colour_sequence(text: &str) -> Option<usize> {
    let parameters = text.strip_prefix("\x1b[")?;
    let end = parameters.find(|c: char| !c.is_ascii_digit() && c != ';')?;
    parameters[end..].starts_with('m').then_some("\x1b[".len() + end + 1)
}

/// Whether a character is shown by its number: it has no shape of its own, and what it does, it does to the text around it.
#[must_use]
pub fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (text, most) = (&*self.text, self.most);
        let whole = end(text.chars(), most);
        if whole == text.len() {
            return write(f, text);
        }
        match self.cut {
            Cut::End => {
                write(f, &text[..whole])?;
                f.write_char('…')
            }
            Cut::Middle => {
                let (first, last) = (end(text.chars(), most / 2), end(text.chars().rev(), most - most / 2));
                write(f, &text[..first])?;
                f.write_char('…')?;
                write(f, &text[text.len() - last..])
            }
        }
    }
}

/// As it is written into a message: also where it is asked for with `{:?}`.
impl fmt::Debug for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

/// How many bytes of the text have at most so many when they are shown.
fn end(chars: impl Iterator<Item = char>, most: usize) -> usize {
    let (mut taken, mut shown) = (0, 0);
    for c in chars {
        shown += if is_hidden(c) { c.escape_default().len() } else { c.len_utf8() };
        if shown > most {
            break;
        }
        taken += c.len_utf8();
    }
    taken
}

fn write(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    for c in text.chars() {
        if is_hidden(c) {
            write!(f, "{}", c.escape_default())?;
        } else {
            f.write_char(c)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_shape_of_its_own_is_shown_by_its_number() {
        for (text, want) in [
            ("plain", "plain"),
            ("일기 \\ \" 👩‍👧", "일기 \\ \" 👩‍👧"),
            ("a\nb\tc\rd", r"a\nb\tc\rd"),
            ("\x1b[31mred\x07", r"\u{1b}[31mred\u{7}"),
            ("\u{85}\u{9b}2J\u{7f}", r"\u{85}\u{9b}2J\u{7f}"),
            ("exe\u{202e}gpj", r"exe\u{202e}gpj"),
            ("\u{2066}\u{2069}\u{200e}\u{200f}\u{61c}", r"\u{2066}\u{2069}\u{200e}\u{200f}\u{61c}"),
            ("\u{2028}\u{2029}", r"\u{2028}\u{2029}"),
        ] {
            assert_eq!(Shown::new(text).to_string(), want);
            assert_eq!(message(want), want, "shown twice");
        }
    }

    #[test]
    fn a_program_s_line_loses_its_colours_and_nothing_else() {
        assert_eq!(output("\x1b[1;31merror\x1b[0m:\tx\x1b[2J\u{202e}"), r"error: x\u{1b}[2J\u{202e}");
        assert!(output(&"\x1b".repeat(60_000)).len() <= OUTPUT + 3);
    }

    #[test]
    fn what_is_too_long_is_cut_between_characters() {
        for most in 0..40 {
            for text in [
                "\x1b\x1b\x1b\x1b\x1b\x1b\x1b\x1b",
                "가나다라마바사아자차카타파하",
                "a\u{202e}b\u{202e}c\u{202e}d\u{202e}e\u{202e}",
            ] {
                let cut = Shown::at_most(text, most).to_string();
                assert!(cut.len() <= most + '…'.len_utf8() && cut.ends_with('…'), "{most}: {cut}");
                let cut = Shown { cut: Cut::Middle, ..Shown::at_most(text, most) }.to_string();
                assert!(cut.len() <= most + '…'.len_utf8() && cut.contains('…'), "{most}: {cut}");
            }
        }
        assert_eq!(Shown::at_most("abc", 3).to_string(), "abc");
        let path = format!("/paas/apps/alice/{}/leaf", "x/".repeat(300));
        let shown = Shown::path(Path::new(&path)).to_string();
        assert!(shown.starts_with("/paas/apps/alice/x/") && shown.ends_with("/x//leaf"), "{shown}");
    }
}
