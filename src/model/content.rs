//! What the owner of a site fills in: the kinds of fields that a `content.schema.json` may have, and whether a value fits
//! (docs/templates.md has the rules; the module `site` of the runtime is held to the same examples, `tests/templates/fits.json`).
//!
//! # Guarantees
//! - A [`Schema`] is one that a form can be made of: every field has a kind and its texts in both languages.
//! - Judging takes time and memory in proportion to the text, and says at most [`MAX_PROBLEMS`] things.
//! - No value of a content becomes part of a message; names do as [`Shown`] only.

mod judge;
mod merge;
mod read;

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use merge::{Merged, changed, merge, sentence, sources};

/// Most bytes of a `content.schema.json`.
pub const MAX_SCHEMA: u64 = 64 << 10;
/// Most bytes of a `content.json`.
pub const MAX_CONTENT: u64 = 256 << 10;
/// Whoever has repaired these asks again.
pub const MAX_PROBLEMS: usize = 50;

/// A text for people, in both languages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Words {
    pub ko: String,
    pub en: String,
}

/// Something that is not as it should be, and what would be right.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Problem {
    /// Where: `links.2.link`, or `properties.title.maxLength`; empty for the whole.
    pub at: String,
    pub kind: ProblemKind,
    pub message: Words,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ProblemKind {
    /// It is kept in the file and not shown.
    Unfit,
    /// Of a content: the schema does not know it. An older or newer template may.
    Unknown,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.at.is_empty() { f.write_str(&self.message.en) } else { write!(f, "{}: {}", self.at, self.message.en) }
    }
}

/// A form: its fields in the order in which they are filled in.
#[derive(Debug, Clone, PartialEq)]
pub struct Schema {
    pub title: Words,
    pub hint: Option<Words>,
    pub fields: Vec<Field>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    pub name: String,
    pub title: Words,
    pub hint: Option<Words>,
    pub kind: Kind,
    /// What counts while nothing that fits is filled in. It fits.
    pub default: Option<Value>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// One line; at most so many characters.
    Text {
        most: usize,
    },
    /// An address, one line.
    Place {
        most: usize,
    },
    /// Long text with light formatting.
    Rich {
        most: usize,
    },
    Link,
    Date(DateForm),
    Colour,
    Font(Vec<String>),
    Choice(Vec<Choice>),
    Switch,
    Picture,
    Gallery {
        most: usize,
    },
    List {
        most: usize,
        fields: Vec<Field>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DateForm {
    /// `2027-05-15`
    Day,
    /// `2027-05-15T13:00:00+09:00`
    Moment,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    pub value: String,
    pub label: Words,
}

impl Schema {
    /// Reads the text of a `content.schema.json`.
    ///
    /// # Errors
    /// Everything that is not in the subset, at most [`MAX_PROBLEMS`].
    pub fn parse(text: &str) -> Result<Self, Vec<Problem>> {
        read::schema(text)
    }

    /// What of a content does not fit, or is not known; empty when all of it does.
    #[must_use]
    pub fn check(&self, content: &Value) -> Vec<Problem> {
        judge::content(&self.fields, content)
    }

    /// The same for the text of a `content.json`.
    #[must_use]
    pub fn check_text(&self, text: &str) -> Vec<Problem> {
        if text.len() as u64 > MAX_CONTENT {
            return vec![unfit("", too_large(MAX_CONTENT))];
        }
        match serde_json::from_str(text.strip_prefix('\u{feff}').unwrap_or(text)) {
            Ok(content) => self.check(&content),
            Err(error) => vec![unfit("", no_json(&error))],
        }
    }
}

impl Kind {
    /// Whether a value is one of this kind.
    #[must_use]
    pub fn fits(&self, value: &Value) -> bool {
        let mut report = Report::default();
        judge::value(self, value, "", &mut report);
        report.problems.iter().all(|problem| problem.kind == ProblemKind::Unknown)
    }
}

/// What was found so far.
#[derive(Debug, Default)]
struct Report {
    problems: Vec<Problem>,
}

impl Report {
    fn say(&mut self, at: &str, kind: ProblemKind, message: Words) {
        if self.problems.len() < MAX_PROBLEMS {
            self.problems.push(Problem { at: at.to_owned(), kind, message });
        }
    }

    fn unfit(&mut self, at: &str, ko: impl Into<String>, en: impl Into<String>) {
        self.say(at, ProblemKind::Unfit, words(ko, en));
    }
}

fn unfit(at: &str, message: Words) -> Problem {
    Problem { at: at.to_owned(), kind: ProblemKind::Unfit, message }
}

fn words(ko: impl Into<String>, en: impl Into<String>) -> Words {
    Words { ko: ko.into(), en: en.into() }
}

fn too_large(most: u64) -> Words {
    let most = most >> 10;
    words(format!("{most} KiB까지예요"), format!("it may have at most {most} KiB"))
}

fn no_json(error: &serde_json::Error) -> Words {
    let (line, column) = (error.line(), error.column());
    words(
        format!("{line}번째 줄 {column}번째 글자에서 JSON이 아니게 돼요. 쉼표나 따옴표가 빠졌는지 살펴보세요"),
        format!("it is no JSON at line {line} column {column}: look for a comma or a quotation mark that is missing"),
    )
}

fn inside(at: &str, name: impl fmt::Display) -> String {
    if at.is_empty() { name.to_string() } else { format!("{at}.{name}") }
}

#[cfg(test)]
mod tests;
