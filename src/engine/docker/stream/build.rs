//! Output of a build.

use std::collections::VecDeque;

use super::{Decoder, JsonLines, TEXT_LINE_LIMIT};
use crate::engine::docker::failure::Failure;
use crate::engine::docker::{transport, wire};
use crate::engine::{BuildEvent, Result};
use crate::model::shown::is_hidden;

/// Output of the classic builder.
#[derive(Debug, Default)]
pub(in crate::engine::docker) struct Build {
    json: JsonLines,
    /// A line of output that has not ended yet.
    open: String,
    image: Option<String>,
}

impl Build {
    fn take(&mut self, message: wire::BuildLine, items: &mut VecDeque<BuildEvent>) -> Result<(), Failure> {
        if !message.stream.is_empty() {
            self.open.push_str(&message.stream);
            // A progress bar redraws its line with carriage returns.
            while let Some(end) = self.open.find(['\n', '\r']) {
                let line: String = self.open.drain(..=end).collect();
                push_output(line.trim_end(), items);
            }
            if self.open.len() > TEXT_LINE_LIMIT {
                push_output(&std::mem::take(&mut self.open), items);
            }
        }
        // Progress of a download comes many times a second; its beginning and end come without a bar.
        if !message.status.is_empty() && message.progress.is_empty() {
            let line =
                if message.id.is_empty() { message.status } else { format!("{}: {}", message.id, message.status) };
            push_output(line.trim_end(), items);
        }
        if !message.aux.id.is_empty() {
            self.image = Some(message.aux.id);
        }
        let error = plain(&if message.error.is_empty() { message.detail.message } else { message.error });
        if error.is_empty() {
            return Ok(());
        }
        push_output(&std::mem::take(&mut self.open), items);
        Err(Failure::Refused(transport::one_line(&error)))
    }
}

fn push_output(line: &str, items: &mut VecDeque<BuildEvent>) {
    let line = plain(line);
    if !line.trim().is_empty() {
        items.push_back(BuildEvent::Output(line));
    }
}

/// Without what has no shape of its own and without the escape sequences of a terminal: the builder colours what a step writes to its
/// standard error.
fn plain(line: &str) -> String {
    let mut text = String::with_capacity(line.len());
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        if c == '\u{1b}' {
            if chars.next_if_eq(&'[').is_some() {
                // Parameters, up to the letter that says what they mean.
                while chars.next().is_some_and(|c| !('@'..='~').contains(&c)) {}
            }
        } else if c == '\t' || !is_hidden(c) {
            text.push(c);
        }
    }
    text
}

impl Decoder for Build {
    type Item = BuildEvent;

    fn feed(&mut self, bytes: &[u8], items: &mut VecDeque<BuildEvent>) -> Result<(), Failure> {
        let mut json = std::mem::take(&mut self.json);
        let fed = json.feed(bytes, |message| self.take(message, items));
        self.json = json;
        fed
    }

    fn finish(&mut self, items: &mut VecDeque<BuildEvent>) -> Result<(), Failure> {
        if let Some(message) = self.json.finish()? {
            self.take(message, items)?;
        }
        push_output(&std::mem::take(&mut self.open), items);
        let image = self.image.take().ok_or(Failure::Broken(None))?;
        items.push_back(BuildEvent::Built(image));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::run;
    use super::*;

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

    #[test]
    fn colours_of_a_build_are_taken_out() {
        let bytes = b"{\"stream\":\"\\u001b[91mnpm warn\\u001b[0m\\u0007\\tx\\n\\u001b[1;31m\\n\\u001b\"}\n{\"aux\":{\"ID\":\"sha256:1\"}}\n";
        let (events, end) = run::<Build>(bytes, 5);
        assert!(end.is_ok());
        assert_eq!(events[0], BuildEvent::Output("npm warn\tx".to_owned()));
        assert_eq!(events.len(), 2);
    }
}
