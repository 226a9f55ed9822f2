//! The command line. One file per subcommand; what several of them share lies beside them:
//! [`context`] (settings and streams), [`chosen`] (which apps are meant), [`client`] (the daemon's socket), [`wait`] (until the world has followed),
//! [`output`] (tables, colour), [`diagnostic`] (caret messages), [`names`] (did you mean), [`backend`] (what `main` plugs in).
//!
//! **Architecture invariant:** a command that changes anything writes a manifest and then only watches. The exceptions say
//! so in their help: `confirm`, `sleep`, `wake`, `down`, `trash`, `template`, `admin`, `firewall`, `user`, and `visitors` where it is about links and passwords.

pub mod announce;
pub mod args;
pub mod backend;
mod chosen;
pub mod client;
pub mod context;
pub mod diagnostic;
pub mod exit;
pub mod manifests;
pub mod names;
pub mod output;
pub mod sse;
pub mod wait;

pub mod admin;
mod backup;
pub mod completions;
pub mod confirm;
pub mod create;
pub mod delete;
pub mod deploy;
pub mod doctor;
pub mod domains;
pub mod down;
mod draft;
pub mod events;
mod firewall;
pub mod get;
mod git;
pub mod init;
mod isolation;
pub mod logs;
mod man;
mod npm;
pub mod plan;
pub mod preview;
mod publish;
mod rest;
mod restore;
pub mod schema;
pub mod serve;
pub mod start;
pub mod status;
pub mod stop;
pub mod template;
pub mod templates;
pub mod trash;
pub mod user;
pub mod validate;
pub mod version;
pub mod versions;
pub mod visitors;

use std::process::ExitCode;

use clap::Parser;

pub use args::{Cli, Command};
pub use backend::{Backend, Preview, PreviewStep};
use context::Context;
use exit::Exit;

/// Reads the command line. What is wrong with it, or the help that was asked for, is printed here.
pub fn parse() -> Result<Cli, ExitCode> {
    Cli::try_parse().map_err(|error| {
        // Nothing can be done for a reader who has gone.
        let _ = error.print();
        // Not clap's 2, which `plan` uses to say that something would be done.
        if error.use_stderr() { Exit::Usage.into() } else { ExitCode::SUCCESS }
    })
}

/// Runs one command; the process ends with the code it returns.
pub fn run<B: Backend>(cli: Cli, backend: &B) -> ExitCode {
    let mut context = Context::new(cli.global);
    let result = dispatch(cli.command, &mut context, backend);
    match result {
        Ok(exit) => exit.into(),
        // `paas logs | head`: the reader has seen enough.
        Err(error) if output::is_closed(&error) => ExitCode::SUCCESS,
        Err(error) => {
            context.err.error(&error);
            Exit::Failed.into()
        }
    }
}

fn dispatch<B: Backend>(command: Command, context: &mut Context, backend: &B) -> anyhow::Result<Exit> {
    match command {
        // Owns its runtime: the daemon's is not a client's.
        Command::Serve(_) => serve::run(context, backend),
        Command::Init(args) => block_on(init::run(context, &args)),
        Command::Validate(args) => block_on(validate::run(context, &args)),
        Command::Get(args) => with_daemon(context, async |context| get::run(context, &args).await),
        Command::Schema => schema::run(context),
        Command::Completions(args) => completions::run(context, &args),
        Command::Names(args) => completions::names(context, &args),
        Command::Man(args) => man::run(context, &args),
        Command::Version => block_on(version::run(context)),
        Command::Plan(args) => block_on(plan::run(context, &args, backend)),
        Command::Status(args) => with_daemon(context, async |context| status::run(context, &args).await),
        Command::Logs(args) => with_daemon(context, async |context| logs::run(context, &args).await),
        Command::Events(args) => with_daemon(context, async |context| events::run(context, &args).await),
        Command::Start(args) => with_daemon(context, async |context| start::run(context, &args).await),
        Command::Stop(args) => with_daemon(context, async |context| stop::run(context, &args).await),
        Command::Deploy(args) => {
            with_daemon(context, async |context| deploy::run(context, &args, deploy::Fresh::Deploy).await)
        }
        Command::Restart(args) => {
            with_daemon(context, async |context| deploy::run(context, &args, deploy::Fresh::Restart).await)
        }
        Command::Sleep(args) => with_daemon(context, async |context| rest::sleep(context, &args).await),
        Command::Wake(args) => with_daemon(context, async |context| rest::wake(context, &args).await),
        Command::Versions(args) => with_daemon(context, async |context| versions::list(context, &args).await),
        Command::Publish(args) => with_daemon(context, async |context| publish::run(context, &args).await),
        Command::Rollback(args) => with_daemon(context, async |context| versions::rollback(context, &args).await),
        Command::Preview(args) => with_daemon(context, async |context| preview::run(context, &args).await),
        Command::Diff(args) => with_daemon(context, async |context| versions::diff(context, &args).await),
        Command::Draft(args) => with_daemon(context, async |context| draft::run(context, &args).await),
        Command::Git(args) => git::run(context, &args),
        Command::Templates => templates::run(context),
        Command::Template(command) => template::run(context, &command),
        Command::Create(args) => with_daemon(context, async |context| create::run(context, &args).await),
        Command::Delete(args) => with_daemon(context, async |context| delete::run(context, &args).await),
        Command::Backup(args) => with_daemon(context, async |context| backup::run(context, &args).await),
        Command::Restore(args) => with_daemon(context, async |context| restore::run(context, &args).await),
        Command::Trash(command) => block_on(trash::run(context, &command)),
        Command::Confirm(args) => with_daemon(context, async |context| confirm::run(context, &args).await),
        Command::Down(args) => block_on(down::run(context, &args, backend)),
        Command::Admin(command) => block_on(admin::run(context, &command)),
        Command::User(command) => block_on(user::run(context, &command)),
        Command::Domains(args) => with_daemon(context, async |context| domains::run(context, &args).await),
        Command::Visitors(args) => with_daemon(context, async |context| visitors::run(context, &args).await),
        Command::Npm(command) => with_daemon(context, async |context| npm::run(context, &command).await),
        Command::Doctor => block_on(doctor::run(context, backend)),
        Command::Firewall(args) => firewall::run(context, &args),
    }
}

/// For commands that talk to the daemon: a bad line in `.env` is a warning for them, as long as there is one to talk to.
fn with_daemon(
    context: &mut Context,
    work: impl AsyncFnOnce(&mut Context) -> anyhow::Result<Exit>,
) -> anyhow::Result<Exit> {
    block_on(async {
        context.ask_daemon().await;
        work(context).await
    })
}

fn block_on<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}
