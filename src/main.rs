//! The `paas` binary: arguments and logging; everything else is in the library.

use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;

use minipaas::backend::Daemon;
use minipaas::cli::{self, Command};
use minipaas::log::{self, Colours, Lines};
use minipaas::model::Shown;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

fn main() -> ExitCode {
    // Before anything is read: it was started to do one thing, and has no rights.
    if let Some(code) = minipaas::confined::run_if_asked() {
        return code;
    }
    let arguments = match cli::parse() {
        Ok(arguments) => arguments,
        Err(code) => return code,
    };
    let file = match &arguments.command {
        Command::Serve(serve) => {
            log::tell_panics();
            serve.log_file()
        }
        _ => None,
    };
    let colours = file.is_none() && std::io::stderr().is_terminal();
    let opened = match &file {
        Some(path) => Lines::to_file(path),
        None => Ok(Lines::to_stderr(if colours { Colours::Yes } else { Colours::No })),
    };
    let writer = match opened {
        Ok(writer) => writer,
        Err(error) => {
            let path = file.unwrap_or_default();
            let text =
                format!("cannot open the log file {}: {error}; name another one, or leave it out", Shown::path(&path));
            // Nothing can be done for a reader who has gone.
            let _ = writeln!(std::io::stderr(), "error: {text}");
            return ExitCode::FAILURE;
        }
    };
    let lines = tracing_subscriber::fmt::layer().with_target(false).with_ansi(colours).with_writer(writer);
    // The journal stamps its lines itself.
    if file.is_none() && std::env::var_os("JOURNAL_STREAM").is_some() {
        tracing_subscriber::registry().with(lines.without_time().with_filter(log::ration())).with(filter()).init();
    } else {
        tracing_subscriber::registry().with(lines.with_filter(log::ration())).with(filter()).init();
    }
    cli::run(arguments, &Daemon)
}

/// `RUST_LOG`, for example `debug` or `info,minipaas=debug`. bollard writes containers' environments at debug, so it stays
/// at info whatever is asked for.
fn filter() -> Targets {
    let wanted = std::env::var("RUST_LOG").ok().and_then(|text| text.parse::<Targets>().ok());
    wanted.unwrap_or_else(|| Targets::new().with_default(LevelFilter::INFO)).with_target("bollard", LevelFilter::INFO)
}
