//! An app's name as somebody typed it, and the one that was probably meant.

use crate::model::AppKey;
pub use crate::model::names::closest;

/// `there is no app `alcie-diary`: did you mean …`.
#[must_use]
pub fn unknown_app(typed: &str, known: &[AppKey]) -> anyhow::Error {
    let names: Vec<String> = known.iter().map(ToString::to_string).collect();
    match closest(typed, names.iter().map(String::as_str)) {
        Some(meant) => anyhow::anyhow!("there is no app `{typed}`: did you mean `{meant}`?"),
        None if names.is_empty() => {
            anyhow::anyhow!(
                "there is no app `{typed}`, nor any other: make one with `paas create {typed} --template diary-v1`"
            )
        }
        None => anyhow::anyhow!("there is no app `{typed}`: `paas status` lists the apps"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_fingers_is_recognised_and_a_different_name_is_not() {
        let known = [AppKey::parse("alice-diary").unwrap(), AppKey::parse("bob-notes").unwrap()];
        let message = |typed| unknown_app(typed, &known).to_string();
        assert_eq!(message("alcie-diary"), "there is no app `alcie-diary`: did you mean `alice-diary`?");
        assert_eq!(message("zed-web"), "there is no app `zed-web`: `paas status` lists the apps");
    }
}
