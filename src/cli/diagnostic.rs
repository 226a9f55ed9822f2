//! A [`Diagnostic`] with the line it is about and a caret below the spot.
//!
//! Only that one line of the file is shown: the lines around it may hold secrets that have nothing to do with the problem.

use std::fmt;

use owo_colors::OwoColorize;
use unicode_width::UnicodeWidthChar;

use crate::desired::Diagnostic;
use crate::model::Shown;
use crate::model::shown::is_hidden;

/// Columns of source that are shown; a longer line is cut around the spot.
const WINDOW: usize = 72;

/// Renders as
///
/// ```text
/// apps.d/alice-diary.yaml:3:1: error: unknown key `memmory`
///   3 | memmory: 256m
///     | ^^^^^^^
///     = help: did you mean `memory`?
/// ```
#[derive(Debug)]
pub struct Caret<'a> {
    /// As the person named the file.
    pub path: &'a str,
    pub source: &'a str,
    pub diagnostic: &'a Diagnostic,
}

impl fmt::Display for Caret<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Diagnostic { line, column, message, help, .. } = self.diagnostic;
        write!(f, "{}", Shown::new(self.path).bold())?;
        if *line > 0 {
            write!(f, ":{line}")?;
            if *column > 0 {
                write!(f, ":{column}")?;
            }
        }
        write!(f, ": {} {message}", "error:".red().bold())?;
        let gutter = " ".repeat(line.to_string().len());
        if let Some(text) = self.offending_line() {
            let spot = Spot::of(text, *column as usize);
            write!(f, "\n  {} {}", format_args!("{line} |").blue(), spot.text)?;
            if spot.length > 0 {
                let carets = "^".repeat(spot.length);
                write!(f, "\n  {gutter} {} {}{}", "|".blue(), " ".repeat(spot.offset), carets.red().bold())?;
            }
        }
        if let Some(help) = help {
            write!(f, "\n  {gutter} {} help: {help}", "=".blue())?;
        }
        Ok(())
    }
}

impl Caret<'_> {
    fn offending_line(&self) -> Option<&str> {
        let index = usize::try_from(self.diagnostic.line).ok()?.checked_sub(1)?;
        self.source.lines().nth(index)
    }
}

/// A line fit for a terminal, and where the carets go, in columns.
struct Spot {
    text: String,
    offset: usize,
    length: usize,
}

impl Spot {
    /// `column` counts characters from 1; 0 means the whole line, which needs no caret.
    fn of(line: &str, column: usize) -> Self {
        let chars: Vec<char> = line
            .chars()
            .map(|c| {
                if c == '\t' {
                    ' '
                } else if is_hidden(c) {
                    '\u{fffd}'
                } else {
                    c
                }
            })
            .collect();
        let start = column.saturating_sub(1).min(chars.len());
        let word = chars[start..].iter().take_while(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.')).count();
        // A caret after the last character points at what is missing there.
        let end = start + if column == 0 { 0 } else { word.max(1) };
        let (first, last) = window(&chars, start);
        let columns = |from: usize, to: usize| -> usize {
            chars.get(from..to.min(chars.len())).unwrap_or_default().iter().map(|c| c.width().unwrap_or(1)).sum()
        };
        let (lead, trail) = (if first > 0 { "…" } else { "" }, if last < chars.len() { "…" } else { "" });
        let text = format!("{lead}{}{trail}", chars[first..last].iter().collect::<String>());
        let offset = lead.chars().count() + columns(first, start);
        let length = if column == 0 { 0 } else { columns(start, end.min(last)).max(1) };
        Self { text: text.trim_end().to_owned(), offset, length }
    }
}

/// Which characters of a line are shown so that `spot` is among them.
fn window(chars: &[char], spot: usize) -> (usize, usize) {
    if chars.len() <= WINDOW {
        return (0, chars.len());
    }
    let first = spot.saturating_sub(WINDOW / 2).min(chars.len() - WINDOW);
    (first, first + WINDOW)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(source: &str, line: u32, column: u32, help: Option<&str>) -> String {
        let diagnostic = Diagnostic {
            file: "alice-diary.yaml".to_owned(),
            line,
            column,
            message: "it is wrong".to_owned(),
            help: help.map(str::to_owned),
        };
        let caret = Caret { path: "apps.d/alice-diary.yaml", source, diagnostic: &diagnostic };
        anstream::adapter::strip_str(&caret.to_string()).to_string()
    }

    #[test]
    fn the_caret_underlines_the_word_and_no_other_line_is_shown() {
        insta::assert_snapshot!(render("template: t\nenv: {KEY: secret}\nmemmory: 256m\n", 3, 1, Some("did you mean `memory`?")), @r"
        apps.d/alice-diary.yaml:3:1: error: it is wrong
          3 | memmory: 256m
            | ^^^^^^^
            = help: did you mean `memory`?
        ");
    }

    #[test]
    fn wide_characters_and_tabs_keep_the_caret_in_place() {
        insta::assert_snapshot!(render("이름:\t값: x", 1, 5, None), @r"
        apps.d/alice-diary.yaml:1:5: error: it is wrong
          1 | 이름: 값: x
            |       ^^
        ");
    }

    #[test]
    fn a_whole_line_a_whole_file_and_a_place_past_the_end_are_fine() {
        insta::assert_snapshot!(render("a: 1\nb", 2, 0, None), @r"
        apps.d/alice-diary.yaml:2: error: it is wrong
          2 | b
        ");
        insta::assert_snapshot!(render("", 0, 0, None), @"apps.d/alice-diary.yaml: error: it is wrong");
        insta::assert_snapshot!(render("a:", 1, 3, None), @r"
        apps.d/alice-diary.yaml:1:3: error: it is wrong
          1 | a:
            |   ^
        ");
        insta::assert_snapshot!(render("a", 7, 1, None), @"apps.d/alice-diary.yaml:7:1: error: it is wrong");
    }

    #[test]
    fn a_long_line_is_cut_around_the_spot() {
        let line = format!("{}memmory{}", "x ".repeat(100), " y".repeat(100));
        let shown = render(&line, 1, 201, None);
        assert!(shown.lines().all(|line| line.chars().count() <= 80), "{shown}");
        assert!(shown.contains("^^^^^^^") && shown.contains("memmory"), "{shown}");
    }
}
