//! Writing for people: streams that know about colour and about a reader who left, and tables.

use std::fmt::{self, Write as _};
use std::io::{self, IsTerminal, Write};

use anstream::{AutoStream, ColorChoice};
use comfy_table::{ContentArrangement, Table, presets};
use owo_colors::OwoColorize;
use serde::Serialize;

use super::args::{Color, Format};
use crate::model::Timestamp;
use crate::model::shown::{colour_sequence, is_hidden};

/// Width of tables on a terminal that does not tell its own.
const DEFAULT_WIDTH: u16 = 80;

/// The reader of standard output has gone (`paas logs | head`): no failure, only the end.
#[derive(Debug)]
struct Closed;

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nobody reads the output any more")
    }
}
impl std::error::Error for Closed {}

/// Whether the error is that the reader of the output has gone, and not, say, the daemon at the socket.
#[must_use]
pub fn is_closed(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|cause| cause.get_ref().is_some_and(<dyn std::error::Error + Send + Sync>::is::<Closed>))
}

/// Standard output. Colour is always written and taken out on the way where it is not wanted.
pub struct Out {
    stream: AutoStream<io::Stdout>,
}

impl fmt::Debug for Out {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Out").finish_non_exhaustive()
    }
}

impl Out {
    #[must_use]
    pub fn new(color: Color) -> Self {
        Self { stream: AutoStream::new(io::stdout(), choice(color)) }
    }

    #[must_use]
    pub fn is_terminal(&self) -> bool {
        io::stdout().is_terminal()
    }

    /// One line, or a few, made [`harmless`].
    pub fn line(&mut self, text: impl fmt::Display) -> io::Result<()> {
        writeln!(self, "{}", harmless_lines(text))
    }

    /// A text that is somebody else's: harmless on a terminal, and as it is in a pipe or a file.
    pub fn foreign(&mut self, text: &str) -> io::Result<()> {
        if self.is_terminal() { write!(self, "{}", harmless_lines(text)) } else { self.write_all(text.as_bytes()) }
    }

    /// The value as one line of JSON.
    pub fn json_line(&mut self, value: &impl Serialize) -> anyhow::Result<()> {
        writeln!(self, "{}", harmless_json(&serde_json::to_string(value)?))?;
        Ok(())
    }

    /// The value in the form asked for by `-o`; a table is the caller's affair.
    pub fn value(&mut self, format: Format, value: &impl Serialize) -> anyhow::Result<()> {
        match format {
            Format::Json | Format::Table => writeln!(self, "{}", harmless_json(&serde_json::to_string_pretty(value)?))?,
            Format::Yaml => self.foreign(&serde_yaml::to_string(value)?)?,
        }
        Ok(())
    }

    pub fn table(&mut self, table: &Table) -> io::Result<()> {
        for line in table.lines() {
            writeln!(self, "{}", harmless(line.trim_end()))?;
        }
        Ok(())
    }
}

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.write(bytes).map_err(closed)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush().map_err(closed)
    }
}

fn closed(error: io::Error) -> io::Error {
    if error.kind() == io::ErrorKind::BrokenPipe { io::Error::other(Closed) } else { error }
}

/// Standard error: notes and progress. Whether anybody reads them matters to nobody.
pub struct Err {
    stream: AutoStream<io::Stderr>,
}

impl fmt::Debug for Err {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Err").finish_non_exhaustive()
    }
}

impl Err {
    #[must_use]
    pub fn new(color: Color) -> Self {
        Self { stream: AutoStream::new(io::stderr(), choice(color)) }
    }

    #[must_use]
    pub fn is_terminal(&self) -> bool {
        io::stderr().is_terminal()
    }

    pub fn note(&mut self, text: impl fmt::Display) {
        let _ = writeln!(self.stream, "{}", harmless_lines(text));
    }

    pub fn warning(&mut self, text: impl fmt::Display) {
        let _ = writeln!(self.stream, "{} {}", "warning:".yellow().bold(), harmless_lines(text));
    }

    /// An error with its causes, on one line.
    pub fn error(&mut self, error: &anyhow::Error) {
        let _ = writeln!(self.stream, "{} {}", "error:".red().bold(), harmless_lines(format_args!("{error:#}")));
    }
}

fn choice(color: Color) -> ColorChoice {
    match color {
        Color::Auto => ColorChoice::Auto,
        Color::Always => ColorChoice::Always,
        Color::Never => ColorChoice::Never,
    }
}

/// An empty table without lines, as wide as the terminal. In a pipe or a file nothing is wrapped: a line there is one row, and
/// who reads it looks for words.
#[must_use]
pub fn table(headers: &[&str]) -> Table {
    let mut table = Table::new();
    let (arrangement, width) = match width() {
        Some(width) => (ContentArrangement::Dynamic, width),
        None => (ContentArrangement::Disabled, u16::MAX),
    };
    table
        .load_preset(presets::NOTHING)
        .set_content_arrangement(arrangement)
        .set_width(width)
        .enforce_styling()
        .set_header(headers);
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table
}

/// Columns of the terminal; `COLUMNS` wins. `None` where the output is no terminal.
fn width() -> Option<u16> {
    let asked = std::env::var("COLUMNS").ok().and_then(|text| text.parse().ok()).filter(|width| *width >= 20);
    let terminal = || io::stdout().is_terminal().then(|| Table::new().width().unwrap_or(DEFAULT_WIDTH));
    asked.or_else(terminal)
}

/// A time for people: theirs (`TZ`, else the machine's), with the zone's name, in whole seconds. Programs get UTC.
#[must_use]
pub fn local(at: Timestamp) -> String {
    let Ok(at) = jiff::Timestamp::from_millisecond(at.0) else { return at.to_string() };
    at.to_zoned(jiff::tz::TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S %Z").to_string()
}

/// Text from an app or a file, made harmless for a terminal: what has no shape of its own is shown by its number, tabs and
/// colours stay.
#[must_use]
pub fn harmless(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if let Some(length) = colour_sequence(rest) {
            clean.push_str(&rest[..length]);
            rest = &rest[length..];
            continue;
        }
        match c {
            '\t' => clean.push(c),
            c if is_hidden(c) => clean.extend(c.escape_default()),
            c => clean.push(c),
        }
        rest = &rest[c.len_utf8()..];
    }
    clean
}

/// The same for what has more than one line of its own.
fn harmless_lines(text: impl fmt::Display) -> String {
    text.to_string().split('\n').map(harmless).collect::<Vec<_>>().join("\n")
}

/// The same for JSON, which stays JSON: nothing but its strings can hold what has no shape, and there it may be escaped.
fn harmless_json(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    for c in text.chars() {
        if c != '\n' && is_hidden(c) {
            // All of them have numbers of four digits.
            let _ = write!(clean, "\\u{:04x}", u32::from(c));
        } else {
            clean.push(c);
        }
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_app_cannot_drive_the_terminal_but_may_use_colour() {
        assert_eq!(harmless("a\tb 일기 \x1b[1;31mred\x1b[0m"), "a\tb 일기 \x1b[1;31mred\x1b[0m");
        assert_eq!(harmless("\x1b]0;title\x07\r\x1b[2J"), r"\u{1b}]0;title\u{7}\r\u{1b}[2J");
        assert_eq!(harmless("end\x1b["), r"end\u{1b}[");
        assert_eq!(harmless_lines("one\ntwo\u{202e}\x1b"), "one\ntwo\\u{202e}\\u{1b}");
    }

    #[test]
    fn json_stays_what_it_says() {
        let said = "a\n\t\x1b\u{85}\u{202e}\u{2028}일기";
        for text in [serde_json::to_string(&said).unwrap(), serde_json::to_string_pretty(&[said]).unwrap()] {
            let clean = harmless_json(&text);
            assert!(!clean.chars().any(|c| is_hidden(c) && c != '\n'), "{clean}");
            let value: serde_json::Value = serde_json::from_str(&clean).unwrap();
            assert_eq!(value, serde_json::from_str::<serde_json::Value>(&text).unwrap());
        }
    }

    #[test]
    fn only_a_closed_output_counts_as_closed() {
        let pipe = || io::Error::from(io::ErrorKind::BrokenPipe);
        assert!(is_closed(&anyhow::Error::from(closed(pipe())).context("while printing")));
        assert!(!is_closed(&anyhow::Error::from(pipe()).context("the daemon hung up")));
    }
}
