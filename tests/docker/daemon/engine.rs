//! The test engine itself, which these tests stop, kill and start as `scripts/lib/engine` does.

use std::process::Command;

use super::fixture::run;

/// Whatever a test does to the engine, the next test finds it running.
pub(crate) struct Engine;

impl Engine {
    #[track_caller]
    pub(crate) fn does(verb: &str) {
        let (command, folder) = Self::address();
        run(&command, &[verb, &folder]);
    }

    fn address() -> (String, String) {
        let get = |name: &str| {
            std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run `scripts/test --docker`"))
        };
        (get("MINIPAAS_TEST_ENGINE"), get("MINIPAAS_TEST_ENGINE_DIR"))
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let (command, folder) = Self::address();
        let _ = Command::new(command).args(["start", &folder]).status();
    }
}
