//! Names before they become part of a request path. bollard escapes nothing.

use super::failure::Failure;

/// A container, network or id: what Docker itself accepts, so nothing that could leave its place in the path.
pub(super) fn object(text: &str) -> Result<&str, Failure> {
    let mut bytes = text.bytes();
    let first = bytes.next().is_some_and(|byte| byte.is_ascii_alphanumeric());
    if first && bytes.all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte)) && text.len() <= 255 {
        Ok(text)
    } else {
        Err(refused(text, "letters, digits, `_`, `.` and `-`, the first a letter or digit"))
    }
}

/// An image reference or id, for example `registry.local:5000/team/app:1.2`.
pub(super) fn image(text: &str) -> Result<&str, Failure> {
    let first = text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
    let charset = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-/:@".contains(&byte));
    let path = !text.contains("..") && !text.contains("//") && !text.ends_with('/');
    if first && charset && path && text.len() <= 512 {
        Ok(text)
    } else {
        Err(refused(text, "`name`, `name:tag` or `registry/name:tag`"))
    }
}

fn refused(text: &str, accepted: &str) -> Failure {
    Failure::Refused(format!("`{}` is not a name Docker accepts: use {accepted}", text.escape_debug()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_could_leave_the_path_is_accepted() {
        for good in ["a", "paas-app-alice-diary", "paas-app-alice-diary.next", "0123456789abcdef", "a_b.c"] {
            assert!(object(good).is_ok(), "{good}");
        }
        for bad in ["", "a/b", "a?b", "a#b", "..", ".a", "a b", "a%2fb", "-a", "a\n", "é", &"x".repeat(256)] {
            assert!(object(bad).is_err(), "{bad:?}");
        }
        for good in
            ["node:24-alpine", "localhost:5000/a/b:c", "sha256:abc", "a@sha256:0", "my-paas-node-runtime:latest"]
        {
            assert!(image(good).is_ok(), "{good}");
        }
        for bad in ["", "/a", "a/../b", "a//b", "a/", "a?b", "a#b", "a b", "a%b", "http://a"] {
            assert!(image(bad).is_err(), "{bad:?}");
        }
    }
}
