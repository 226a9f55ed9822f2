//! YAML text as a small tree that remembers where everything stands.
//!
//! It is built from the event parser beneath serde-saphyr instead of through serde: serde's data model forgets where a
//! key stood and how a number was written (`1.10` would come back as `1.1`), and a manifest's diagnostics need the first
//! and its environment variables the second.
//!
//! # Guarantees
//! - Work and memory are bounded by the input's length and by [`MAX_DEPTH`] and [`MAX_NODES`], whatever the input.
//! - No message quotes text from another place of the file than the one it points at.

use serde_yaml::granit_parser::{
    self, BorrowedInput, ErrorKind, Event, Parser, ScalarStyle, ScanError, Span, StrInput,
};

use crate::model::Shown;

#[cfg(test)]
mod work;

/// Deepest nesting of groups and lists. A manifest needs two.
pub(super) const MAX_DEPTH: usize = 16;
/// Most keys and values together.
pub(super) const MAX_NODES: usize = 4000;

/// A place in the text: line and column in characters, both 1-based.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Spot {
    pub(super) line: u32,
    pub(super) column: u32,
}

impl Spot {
    fn of(marker: &granit_parser::Marker) -> Self {
        // Files are at most 64 KiB, so neither number is ever cut.
        let cut = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Self { line: cut(marker.line().max(1)), column: cut(marker.col() + 1) }
    }
}

/// A refused text: where, what is wrong, what would be right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) at: Spot,
    pub(super) message: String,
    pub(super) help: Option<String>,
}

impl Refusal {
    pub(super) fn new(at: Spot, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { at, message: message.into(), help: Some(help.into()) }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) at: Spot,
    pub(super) value: Value,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    /// Nothing, `~` or `null`.
    Empty,
    /// Not quoted: may be read as text, number or boolean.
    Plain(String),
    /// Quoted or a block: text.
    Text(String),
    Group(Vec<Entry>),
    List(Vec<Node>),
}

impl Value {
    /// For messages.
    pub(super) fn describe(&self) -> &'static str {
        match self {
            Self::Empty => "nothing",
            Self::Plain(_) | Self::Text(_) => "a single value",
            Self::Group(_) => "a group of keys",
            Self::List(_) => "a list",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) key_at: Spot,
    pub(super) value: Node,
}

/// `None` for a text without content: empty, or only comments.
pub(super) fn read(text: &str) -> Result<Option<Node>, Refusal> {
    reader(text, StrInput::new(text)).read()
}

/// Reads `text` through `input`, which has to be that text.
fn reader<'a, I: BorrowedInput<'a>>(text: &'a str, input: I) -> Reader<'a, I> {
    let options = granit_parser::options! {
        // Our own depth check speaks first; this one keeps the scanner's stack small.
        flow_nesting_limit: MAX_DEPTH + 1,
        block_nesting_limit: MAX_DEPTH + 1,
        // So that each kind of reference gets our message instead of "unknown anchor".
        emit_unresolved_aliases: true,
        emit_anchor_events: true,
        emit_comments: false,
    };
    Reader { text, events: Parser::with_options(input, options), nodes: 0 }
}

struct Reader<'a, I: BorrowedInput<'a>> {
    text: &'a str,
    events: Parser<'a, I>,
    nodes: usize,
}

impl<'a, I: BorrowedInput<'a>> Reader<'a, I> {
    fn read(mut self) -> Result<Option<Node>, Refusal> {
        let root = self.document()?;
        self.end()?;
        Ok(root)
    }

    fn next(&mut self) -> Result<Option<(Event<'a>, Span)>, Refusal> {
        self.events.next_event().transpose().map_err(|error| syntax(self.text, &error))
    }

    fn document(&mut self) -> Result<Option<Node>, Refusal> {
        while let Some((event, span)) = self.next()? {
            match event {
                Event::StreamStart | Event::DocumentStart(..) => {}
                Event::StreamEnd | Event::DocumentEnd => return Ok(None),
                event => {
                    let node = self.node(event, span, 0)?;
                    return Ok(Some(node).filter(|node| node.value != Value::Empty));
                }
            }
        }
        Ok(None)
    }

    /// After the first document there may be nothing more.
    fn end(&mut self) -> Result<(), Refusal> {
        while let Some((event, span)) = self.next()? {
            if matches!(event, Event::DocumentStart(..)) {
                return Err(Refusal::new(
                    Spot::of(&span.start),
                    "a second document starts here (`---`)",
                    "one file describes one app: put the other one in a file of its own",
                ));
            }
        }
        Ok(())
    }

    fn node(&mut self, event: Event<'a>, span: Span, depth: usize) -> Result<Node, Refusal> {
        let at = Spot::of(&span.start);
        self.count(at)?;
        self.no_anchor(&event)?;
        if let Some(tag) = span.tag_start() {
            return Err(Refusal::new(
                Spot::of(&tag),
                "tags such as `!!str` are not accepted",
                "leave the tag out; to make a value text put it in quotes",
            ));
        }
        let value = match event {
            Event::Scalar(text, style, ..) => scalar(text.into_owned(), style),
            Event::MappingStart(..) => Value::Group(self.group(at, depth + 1)?),
            Event::SequenceStart(..) => Value::List(self.list(at, depth + 1)?),
            Event::Alias(_) | Event::UnresolvedAlias(_) => {
                return Err(Refusal::new(
                    at,
                    "aliases (`*name`) are not accepted",
                    "write the value out; if it is text that starts with `*`, put it in quotes",
                ));
            }
            _ => return Err(Refusal::new(at, "a value is missing here", "write a value, or remove the line")),
        };
        Ok(Node { at, value })
    }

    fn group(&mut self, at: Spot, depth: usize) -> Result<Vec<Entry>, Refusal> {
        check_depth(at, depth)?;
        let mut entries: Vec<Entry> = Vec::new();
        while let Some((event, span)) = self.next()? {
            if event == Event::MappingEnd {
                break;
            }
            let key_node = self.node(event, span, depth)?;
            let key = match key_node.value {
                Value::Plain(text) | Value::Text(text) => text,
                other => {
                    return Err(Refusal::new(
                        key_node.at,
                        format!("a key must be a word, not {}", other.describe()),
                        "write `key: value`",
                    ));
                }
            };
            if let Some(first) = entries.iter().find(|entry| entry.key == key) {
                return Err(Refusal::new(
                    key_node.at,
                    format!("key `{}` is written twice", clip(&key)),
                    format!("keep this one or the one on line {}", first.key_at.line),
                ));
            }
            let Some((event, span)) = self.next()? else { break };
            let value = self.node(event, span, depth)?;
            entries.push(Entry { key, key_at: key_node.at, value });
        }
        Ok(entries)
    }

    fn list(&mut self, at: Spot, depth: usize) -> Result<Vec<Node>, Refusal> {
        check_depth(at, depth)?;
        let mut items = Vec::new();
        while let Some((event, span)) = self.next()? {
            if event == Event::SequenceEnd {
                break;
            }
            items.push(self.node(event, span, depth)?);
        }
        Ok(items)
    }

    fn count(&mut self, at: Spot) -> Result<(), Refusal> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            return Err(Refusal::new(
                at,
                format!("more than {MAX_NODES} keys and values"),
                "a manifest needs a few lines: remove what is not for this app",
            ));
        }
        Ok(())
    }

    /// The parser reports an anchor's place right after the node it stands on.
    fn no_anchor(&mut self, event: &Event<'a>) -> Result<(), Refusal> {
        let anchored = match event {
            Event::Scalar(_, _, id, _) | Event::SequenceStart(_, id, _) | Event::MappingStart(_, id, _) => *id != 0,
            _ => false,
        };
        if !anchored {
            return Ok(());
        }
        let at = self.next()?.map_or(Spot { line: 1, column: 1 }, |(_, span)| Spot::of(&span.start));
        Err(Refusal::new(
            at,
            "anchors (`&name`) are not accepted",
            "write each value out; if it is text that starts with `&`, put it in quotes",
        ))
    }
}

fn check_depth(at: Spot, depth: usize) -> Result<(), Refusal> {
    if depth > MAX_DEPTH {
        return Err(too_deep(at));
    }
    Ok(())
}

fn too_deep(at: Spot) -> Refusal {
    Refusal::new(
        at,
        format!("nested more than {MAX_DEPTH} levels deep"),
        "a manifest has two levels at most: check brackets and indentation",
    )
}

fn scalar(text: String, style: ScalarStyle) -> Value {
    match style {
        ScalarStyle::Plain if matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL") => Value::Empty,
        ScalarStyle::Plain => Value::Plain(text),
        _ => Value::Text(text),
    }
}

/// The parser's own messages name no content of the file, so they may be passed on.
fn syntax(text: &str, error: &ScanError) -> Refusal {
    let mut at = Spot::of(error.marker());
    let help = match error.kind() {
        ErrorKind::RecursionLimitExceeded => return too_deep(at),
        ErrorKind::TabNotAllowed
        | ErrorKind::TabInBlockIndentation
        | ErrorKind::TabInIndentation
        | ErrorKind::TabInPlainScalar
        | ErrorKind::TabAtBlockScalarStart => {
            at = tab_after(text, error.marker()).unwrap_or(at);
            "indent with spaces instead of tabs"
        }
        ErrorKind::UnclosedQuotedScalar => "close the quote on this line",
        ErrorKind::SimpleKeyExpected => "write `key: value`, with a space after the colon",
        ErrorKind::MappingValueNotAllowed | ErrorKind::InvalidColonPlacement => {
            "if the value contains a colon, put it in quotes"
        }
        ErrorKind::UnclosedFlowCollection { .. }
        | ErrorKind::UnexpectedEofFlowMapping
        | ErrorKind::UnexpectedEofFlowSequence
        | ErrorKind::MisplacedFlowCollectionEnd
        | ErrorKind::MismatchedFlowCollectionEnd { .. } => "give every opening bracket its closing one",
        _ => "check the indentation, the colons and the quotes here",
    };
    Refusal::new(at, format!("not valid YAML: {}", error.kind()), help)
}

/// The parser points at the value that a tab interrupts; a person looks for the tab.
fn tab_after(text: &str, from: &granit_parser::Marker) -> Option<Spot> {
    let mut at = Spot::of(from);
    for c in text.chars().skip(from.index()) {
        match c {
            '\t' => return Some(at),
            '\n' => at = Spot { line: at.line + 1, column: 1 },
            _ => at.column += 1,
        }
    }
    None
}

/// At most 60 characters of a text, for messages.
pub(super) fn clip(text: &str) -> String {
    let mut clipped: String = text.chars().take(60).collect();
    if clipped.len() < text.len() {
        clipped.push('…');
    }
    Shown::at_most(&clipped, 4 * clipped.len()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many nodes are made before a text is refused.
    fn work(text: &str) -> usize {
        let options = granit_parser::options! { flow_nesting_limit: MAX_DEPTH + 1, emit_anchor_events: true };
        let mut reader = Reader { text, events: Parser::new_from_str_with_options(text, options), nodes: 0 };
        assert!(reader.document().is_err());
        reader.nodes
    }

    #[test]
    fn hostile_texts_are_refused_after_little_work() {
        assert!(work(&"[".repeat(65_000)) <= MAX_DEPTH + 1);
        assert!(work(&"- ".repeat(32_000)) <= MAX_DEPTH + 1);
        assert!(work("a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]") <= 3);
        assert_eq!(work(&format!("[{}]", "1,".repeat(30_000))), MAX_NODES + 1);
    }

    #[test]
    fn places_count_characters_not_bytes() {
        let Some(Node { value: Value::Group(entries), .. }) = read("한글: 값 # 주석\r\n키: [x]\r\n").unwrap()
        else {
            panic!()
        };
        let places: Vec<_> = entries.iter().map(|entry| (entry.key_at, entry.value.at)).collect();
        let spot = |line, column| Spot { line, column };
        assert_eq!(places, [(spot(1, 1), spot(1, 5)), (spot(2, 1), spot(2, 4))]);
    }
}
