//! The `paas` binary: arguments and logging; everything else is in the library.

use std::io::IsTerminal as _;
use std::process::ExitCode;

use minipaas::backend::Daemon;
use minipaas::cli;
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    let arguments = match cli::parse() {
        Ok(arguments) => arguments,
        Err(code) => return code,
    };
    // bollard writes containers' environments at debug: it stays at info whatever RUST_LOG asks for.
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let filter = "bollard=info".parse().map_or_else(|_| EnvFilter::new("info"), |cap| filter.add_directive(cap));
    let journal = std::env::var_os("JOURNAL_STREAM").is_some();
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_target(false)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    // The journal stamps its lines itself.
    if journal {
        log.without_time().init();
    } else {
        log.init();
    }
    cli::run(arguments, &Daemon)
}
