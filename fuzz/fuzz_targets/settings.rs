//! Whatever a `.env` says, its parser answers, with at most one problem per line and one per setting.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use minipaas::settings::{Bases, parse_env};

fuzz_target!(|text: &str| {
    let bases = Bases { file: Path::new("/"), process: Path::new("/") };
    let (_, problems) = parse_env(text, ".env", bases, &|_| None);
    assert!(problems.len() <= text.lines().count() + 64, "{} problems", problems.len());
    for problem in problems {
        assert_eq!(problem.to_string().lines().count(), 1, "{problem}");
    }
});
