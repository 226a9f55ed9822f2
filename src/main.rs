//! The `paas` binary: arguments and logging; everything else is in the library.

use std::io::IsTerminal as _;
use std::process::ExitCode;

use minipaas::backend::Daemon;
use minipaas::cli;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

fn main() -> ExitCode {
    let arguments = match cli::parse() {
        Ok(arguments) => arguments,
        Err(code) => return code,
    };
    let lines = tracing_subscriber::fmt::layer()
        .with_target(false)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    // The journal stamps its lines itself.
    if std::env::var_os("JOURNAL_STREAM").is_some() {
        tracing_subscriber::registry().with(lines.without_time()).with(filter()).init();
    } else {
        tracing_subscriber::registry().with(lines).with(filter()).init();
    }
    cli::run(arguments, &Daemon)
}

/// `RUST_LOG`, for example `debug` or `info,minipaas=debug`. bollard writes containers' environments at debug, so it stays
/// at info whatever is asked for.
fn filter() -> Targets {
    let wanted = std::env::var("RUST_LOG").ok().and_then(|text| text.parse::<Targets>().ok());
    wanted.unwrap_or_else(|| Targets::new().with_default(LevelFilter::INFO)).with_target("bollard", LevelFilter::INFO)
}
