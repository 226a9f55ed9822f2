//! `paas versions`, `paas publish`, `paas rollback`, `paas diff`.

use std::path::PathBuf;

use clap::Args;

use super::Wait;

#[derive(Debug, Args)]
pub struct Versions {
    /// The app, for example `alice-diary`
    #[arg(value_name = "APP")]
    pub app: String,
    /// Of which version `--archive` is [default: the one that runs]
    #[arg(value_name = "VERSION", requires = "archive")]
    pub version: Option<String>,
    /// Save all files of a version in this zip instead
    #[arg(long, value_name = "FILE")]
    pub archive: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct Publish {
    /// The app, for example `alice-diary`
    #[arg(value_name = "APP")]
    pub app: String,
    /// A folder, or a zip or tar of one, that has `server.js` at its top (or `index.html`, for pages that need no server)
    #[arg(value_name = "FOLDER|ZIP")]
    pub from: PathBuf,
    /// What was done, for the list of versions
    #[arg(short, long, value_name = "MESSAGE")]
    pub message: Option<String>,
    #[command(flatten)]
    pub wait: Wait,
}

#[derive(Debug, Args)]
pub struct Rollback {
    /// The app, for example `alice-diary`
    #[arg(value_name = "APP")]
    pub app: String,
    /// The version [default: the last that answered, before the one that runs]
    #[arg(value_name = "VERSION")]
    pub version: Option<String>,
    #[command(flatten)]
    pub wait: Wait,
}

#[derive(Debug, Args)]
pub struct Diff {
    /// The app, for example `alice-diary`
    #[arg(value_name = "APP")]
    pub app: String,
    /// A version, or `app` for what is in `app/` now [default: the version that runs]
    #[arg(value_name = "FROM")]
    pub from: Option<String>,
    /// The same [default: app]
    #[arg(value_name = "TO", requires = "from")]
    pub to: Option<String>,
}
