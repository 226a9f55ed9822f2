//! The lines of a `.env` file. A parser of our own: dotenvy interpolates, which silently empties an unquoted `$2b$12…`.

/// One assignment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    /// 1-based.
    pub(super) number: u32,
    pub(super) key: String,
    pub(super) value: String,
}

/// A line that is no assignment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BadLine {
    pub(super) number: u32,
    /// As far as it could be read; the rest may be a secret and is not kept.
    pub(super) key: String,
    pub(super) accepted: &'static str,
}

/// Understands `KEY=VALUE`, a leading `export`, blank lines, `#` comments (after a value: with a space before), values in
/// single quotes (as they are) and in double quotes (`\n`, `\t`, `\r`, `\\`, `\"`, `\$`). Nothing is interpolated.
pub(super) fn lines(text: &str) -> (Vec<Line>, Vec<BadLine>) {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        match assignment(line) {
            Ok((key, value)) => good.push(Line { number, key, value }),
            Err((key, accepted)) => bad.push(BadLine { number, key, accepted }),
        }
    }
    (good, bad)
}

fn assignment(line: &str) -> Result<(String, String), (String, &'static str)> {
    let line = match line.strip_prefix("export") {
        Some(rest) if rest.starts_with([' ', '\t']) => rest.trim_start(),
        _ => line,
    };
    let Some((key, value)) = line.split_once('=') else {
        return Err((String::new(), "write `KEY=VALUE`, or start the line with `#`"));
    };
    let key = key.trim();
    let valid = key.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !valid {
        return Err((String::new(), "write a key of letters, digits and underscores before the `=`"));
    }
    match unquoted(value.trim()) {
        Ok(value) => Ok((key.to_owned(), value)),
        Err(accepted) => Err((key.to_owned(), accepted)),
    }
}

fn unquoted(text: &str) -> Result<String, &'static str> {
    const AFTER: &str = "write nothing but a comment after the closing quote";
    let only_comment = |rest: &str| {
        let rest = rest.trim_start();
        if rest.is_empty() || rest.starts_with('#') { Ok(()) } else { Err(AFTER) }
    };
    if let Some(inner) = text.strip_prefix('\'') {
        let (value, rest) = inner.split_once('\'').ok_or("close the single quote on the same line")?;
        only_comment(rest)?;
        return Ok(value.to_owned());
    }
    if let Some(inner) = text.strip_prefix('"') {
        let (value, rest) = double_quoted(inner)?;
        only_comment(rest)?;
        return Ok(value);
    }
    if text.starts_with('#') {
        return Ok(String::new());
    }
    let comment =
        text.char_indices().zip(text.chars().skip(1)).find(|((_, c), next)| c.is_whitespace() && *next == '#');
    Ok(comment.map_or(text, |((index, _), _)| &text[..index]).trim_end().to_owned())
}

/// The value and what follows its closing quote.
fn double_quoted(text: &str) -> Result<(String, &str), &'static str> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((index, c)) = chars.next() {
        match c {
            '"' => return Ok((value, &text[index + 1..])),
            '\\' => value.push(match chars.next().map(|(_, escaped)| escaped) {
                Some('n') => '\n',
                Some('t') => '\t',
                Some('r') => '\r',
                Some(same @ ('\\' | '"' | '$')) => same,
                _ => return Err("in double quotes write a backslash as `\\\\`, or use single quotes"),
            }),
            c => value.push(c),
        }
    }
    Err("close the double quote on the same line")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_write_an_assignment_is_understood() {
        for (text, key, value) in [
            ("A=b", "A", "b"),
            ("  A = b  ", "A", "b"),
            ("export A=b", "A", "b"),
            ("A=b # comment", "A", "b"),
            ("A=b#c", "A", "b#c"),
            ("A= # comment", "A", ""),
            ("A=#comment", "A", ""),
            ("A=", "A", ""),
            ("A=''", "A", ""),
            ("A='b # c' # d", "A", "b # c"),
            (r#"A="b \"c\" \$d\\" # e"#, "A", r#"b "c" $d\"#),
            (r"A='b\n'", "A", r"b\n"),
            ("A=$2b$12$abc", "A", "$2b$12$abc"),
            ("A=${B}", "A", "${B}"),
            ("\u{feff}A=b\r", "A", "b"),
            ("A=b=c", "A", "b=c"),
            ("exported=1", "exported", "1"),
            ("A=한글 # 주석", "A", "한글"),
        ] {
            let (good, bad) = lines(text);
            assert_eq!(bad, [], "{text:?}");
            assert_eq!(good, [Line { number: 1, key: key.to_owned(), value: value.to_owned() }], "{text:?}");
        }
    }

    #[test]
    fn what_is_no_assignment_is_told_by_its_line_and_never_quoted() {
        for (text, key) in [
            ("hunter2", ""),
            ("hun ter2=x", ""),
            ("=x", ""),
            ("1A=x", ""),
            ("A='x", "A"),
            ("A=\"x", "A"),
            ("A='x' y", "A"),
            ("A=\"x\"y", "A"),
            (r#"A="\q""#, "A"),
            (r#"A="x\"#, "A"),
        ] {
            let (good, bad) = lines(&format!("# first\n{text}\r\n"));
            assert_eq!(good, [], "{text:?}");
            assert_eq!((bad.len(), bad[0].number, bad[0].key.as_str()), (1, 2, key), "{text:?}");
        }
    }
}
