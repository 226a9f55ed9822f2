//! The command line as types. Every help text lives here.

mod domains;
mod user;
mod versions;
mod visitors;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub use self::domains::{Domains, OfDomains, OneDomain};
pub use self::user::{AppsOfRemoved, InviteUser, OneUser, Quota, RemoveUser, RoleOfUser, SetUser, User};
pub use self::versions::{Diff, Publish, Rollback, Versions};
pub use self::visitors::{AddLink, Circle, Link, OfVisitors, RemoveLink, SitePassword, Visitors};
use crate::model::{AppKey, Bytes, MilliCpus, RestartPolicy, Sleep, TemplateId};

const EXIT_CODES: &str = "\
Exit codes:
  0   done, and the world has followed
  1   something is wrong; a message says what and how to put it right
  2   `plan` only: something would be done
  3   written, but the world has not followed yet (phase and reason are told)
  64  the command line itself is wrong";

/// A desired-state mini-PaaS for one home server: YAML manifests in, Docker containers out.
#[derive(Debug, Parser)]
#[command(name = "paas", version, propagate_version = false, after_help = EXIT_CODES, max_term_width = 100)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// Root folder of the installation, instead of `PAAS_ROOT`
    #[arg(long, global = true, value_name = "FOLDER")]
    pub root: Option<PathBuf>,
    /// Settings file, instead of `PAAS_ENV_FILE`
    #[arg(long, global = true, value_name = "FILE")]
    pub env_file: Option<PathBuf>,
    /// Form of the output: for people, or for programs
    #[arg(short, long, global = true, value_name = "FORM")]
    pub output: Option<Format>,
    /// When to use colour; `NO_COLOR` is honoured
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto", hide_possible_values = false)]
    pub color: Color,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    Table,
    Json,
    Yaml,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Color {
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the daemon in the foreground
    #[command(
        after_help = "Examples:\n  paas serve\n  paas --root ./.paas serve\n  paas serve --log-file /var/log/paas.log"
    )]
    Serve(Serve),
    /// Make the folders and the marker of a new installation (harmless to repeat)
    #[command(after_help = "\
Where the manifests folder lacks apps that the installation knows, it says which would go and asks first.
They go only when that is confirmed once more, with `paas confirm`.

Examples:
  paas init
  paas --root ./.paas init
  paas init --yes                         without a question")]
    Init(Yes),
    /// Check manifests and say what is wrong where
    #[command(after_help = "\
Examples:
  paas validate                           every manifest of the installation
  paas validate apps.d/alice-diary.yaml
  paas validate checkout                  every manifest in that folder
  paas validate - < new.yaml
  as .git/hooks/pre-commit:
    git diff --cached --name-only --diff-filter=d -z -- 'apps.d/*.yaml' 'apps.d/*.yml' |
      xargs -0 -r paas validate")]
    Validate(Validate),
    /// Show what would be done and why, without doing it
    #[command(after_help = "\
A running daemon acts within moments of a save, and then nothing is left to show. This is for before: while the daemon
is stopped, or for manifests that are not in force yet, such as a checkout. A copy of the .minipaas file there makes
removals count.

Examples:
  paas plan
  PAAS_MANIFESTS_DIR=$PWD/checkout paas plan
  paas plan alice-diary -o json
  paas plan || echo 'out of sync'         exit code 2: something would be done")]
    Plan(OptionalApp),
    /// Show how the apps and the daemon are
    #[command(visible_aliases = ["ls", "list", "ps"], after_help = "\
Examples:
  paas status
  paas status alice-diary
  paas status -w                          keep watching
  paas status -o json | jq '.apps | keys'")]
    Status(Status),
    /// Print an app's manifest (as JSON: with its status)
    #[command(after_help = "Examples:\n  paas get alice-diary\n  paas get alice-diary -o json")]
    Get(OneApp),
    /// Print an app's log
    #[command(
        after_help = "Examples:\n  paas logs alice-diary\n  paas logs alice-diary -f\n  paas logs alice-diary -n 1000 | grep -i error\n  paas logs --image                       how the runtime image was built"
    )]
    Logs(Logs),
    /// Show what was done and why, newest last
    #[command(after_help = "Examples:\n  paas events\n  paas events alice-diary -n 500")]
    Events(Events),
    /// Let an app run (writes `state: running`)
    #[command(
        after_help = "Examples:\n  paas start alice-diary\n  paas start alice-diary bob-notes --wait 120\n  paas start --all"
    )]
    Start(Change),
    /// Stop an app (writes `state: stopped`)
    #[command(
        after_help = "Examples:\n  paas stop alice-diary\n  paas stop alice-diary bob-notes --no-wait\n  paas stop --all --yes"
    )]
    Stop(Change),
    /// Let an app sleep now (asks the daemon), or say when it does (writes `sleep`)
    #[command(after_help = "\
Examples:
  paas sleep alice-diary                 now
  paas sleep alice-diary --after 30m     whenever nobody has come for so long
  paas sleep alice-diary --after never")]
    Sleep(SleepArgs),
    /// Wake an app that sleeps (asks the daemon)
    #[command(after_help = "Examples:\n  paas wake alice-diary\n  paas wake alice-diary bob-notes")]
    Wake(SomeApps),
    /// Give an app that runs a fresh container, with the code that it runs
    #[command(after_help = "Examples:\n  paas restart alice-diary\n  paas restart --all")]
    Restart(Change),
    /// Publish the code in an app's `app/` folder (writes a new `redeploy` token)
    #[command(after_help = "Examples:\n  paas deploy alice-diary\n  paas deploy alice-diary --wait 120")]
    Deploy(Change),
    /// List the versions of an app's code, newest first
    #[command(after_help = "\
Examples:
  paas versions alice-diary
  paas versions alice-diary -o json
  paas versions alice-diary --archive diary.zip                    all files of the one that runs
  paas versions alice-diary 3f2a91c04be7d815 --archive diary.zip   of another one")]
    Versions(Versions),
    /// Publish a folder or a zip as an app's code (writes `version`)
    #[command(after_help = "\
What ran before stays in the history: `paas rollback APP` goes back to it. A folder around everything is left out, and so is
`.git`.

Examples:
  paas publish alice-diary ./site -m 'new pictures'
  paas publish alice-diary site.zip")]
    Publish(Publish),
    /// Let an earlier version of an app's code run again (writes `version`)
    #[command(after_help = "\
What is in `app/` and not deployed is kept as a version first. `paas deploy APP` publishes `app/` again.

Examples:
  paas rollback alice-diary                    the one before the one that runs
  paas rollback alice-diary 3f2a91c04be7d815   one that `paas versions alice-diary` lists")]
    Rollback(Rollback),
    /// Look at a version of an app before others see it, on a copy of its data
    #[command(after_help = "\
It is for the app's owner only, at an address of its own, and goes by itself a quarter of an hour after the last visit.

Examples:
  paas preview alice-diary                    the one before the one that runs
  paas preview alice-diary 3f2a91c04be7d815   one that `paas versions alice-diary` lists
  paas preview alice-diary --stop")]
    Preview(Preview),
    /// Show how two versions of an app's code differ
    #[command(after_help = "\
Examples:
  paas diff alice-diary                                     what in `app/` is not deployed yet
  paas diff alice-diary 3f2a91c04be7d815                    what changed since that version
  paas diff alice-diary 3f2a91c04be7d815 91be02c9ddf10a44   what changed between the two")]
    Diff(Diff),
    /// Show what this account has changed of an app in the studio and not published
    #[command(after_help = "\
Each account has its own draft, and so has the operator on the server.

Examples:
  paas draft alice-page             what is changed
  paas draft alice-page --publish   make a version of it and let that run
  paas draft alice-page --discard   forget it")]
    Draft(Draft),
    /// Show where an app's code is cloned from and pushed to with git
    #[command(after_help = "Examples:\n  paas git alice-diary\n  git clone \"$(paas git alice-diary | head -n 1)\"")]
    Git(OneApp),
    /// List what an app can be made from
    #[command(after_help = "Examples:\n  paas templates\n  paas templates -o json")]
    Templates,
    /// Judge a template, or begin one
    #[command(subcommand, after_help = "Examples:\n  paas template check ./poem-v1\n  paas template new poem-v1")]
    Template(Template),
    /// Make a new app from a template (writes its manifest)
    #[command(after_help = "\
Examples:
  paas create alice-diary --template diary-v1 --enable-api
  paas create bob-notes --template static-v1 --memory 64m --cpus 0.25
  paas create bob-hello --template diary-v1 --env GREETING=hello
  paas create alice-diary                 which templates there are")]
    Create(Create),
    /// Delete an app; its data stays unless `--purge` (writes `state: deleted`)
    #[command(after_help = "\
Examples:
  paas delete alice-diary                 an app created again under this name finds its data
  paas delete alice-diary --purge         its data is backed up and moves to trash
  paas delete alice-diary --purge --yes   the same without a question")]
    Delete(Delete),
    /// Show what was deleted, or bring it back
    #[command(
        subcommand,
        after_help = "\
Examples:
  paas trash list
  paas trash restore 20261122T100000Z-bob-notes-code-0000"
    )]
    Trash(Trash),
    /// Back up an app's data, list backups, check that one can be restored
    #[command(
        after_help = "\
The app goes on meanwhile, and the backup is what it was at one moment. Backups are made by themselves as well, by
BACKUP_SCHEDULE or `backup` in the manifest.

Examples:
  paas backup alice-diary
  paas backup list
  paas backup list alice-diary
  paas backup check alice-diary",
        args_conflicts_with_subcommands = true,
        subcommand_negates_reqs = true
    )]
    Backup(Backup),
    /// Put an app's data back as it was in a backup; `--undo` takes that back
    #[command(after_help = "\
The backup is unpacked and checked first, and what is there is backed up. The app is stopped only while both change places, then it
is started again. What was there lies in the trash: --undo brings it back.

Examples:
  paas restore alice-diary                            the newest backup
  paas restore alice-diary --at 2026-11-29            the newest of that day or before
  paas restore alice-diary --at 2026-11-29T14:30
  paas restore alice-diary --at 20261129T030412345Z   that very one
  paas restore alice-diary --undo")]
    Restore(RestoreApp),
    /// Print the JSON Schema of the manifest, for editors
    #[command(after_help = "Examples:\n  paas schema > manifest.schema.json")]
    Schema,
    /// Show a held mass deletion, or let it go on
    #[command(
        after_help = "Examples:\n  paas confirm                            what is held, and its token\n  paas confirm 3f9c2a41"
    )]
    Confirm(Confirm),
    /// Remove every container of this installation; files and data stay
    #[command(after_help = "\
The daemon must not be running: it would put the containers back at once. It asks first; in a script say --yes.

Examples:
  paas down
  paas down --yes")]
    Down(Yes),
    /// See to the portal's users
    #[command(subcommand, after_help = "Examples:\n  paas admin reset-password\n  paas admin revoke")]
    Admin(Admin),
    /// Invite people, list and remove them
    #[command(
        subcommand,
        after_help = "\
The daemon must be running.

Examples:
  paas user list
  paas user invite alice
  paas user reset alice
  paas user remove alice --apps stop"
    )]
    User(User),
    /// Show or set who may enter an app's site, and invite guests
    #[command(after_help = "\
With --view or --change it writes `visitors` into the manifest; what is left out of the two stays, or becomes as narrow as it must.
Links and the password are the daemon's, which must be running for them.

Examples:
  paas visitors alice-diary                            what is in force
  paas visitors alice-diary --view everyone --change owner
  paas visitors alice-diary link add grandmother --expires 30d
  paas visitors alice-diary link remove 3
  paas visitors alice-diary password set < password.txt
  paas visitors alice-diary sign-out                   everybody out, links and password go on")]
    Visitors(Visitors),
    /// Show a site's own host names, add or remove one
    #[command(after_help = "\
Without a verb the daemon is asked, which must be running. `add` and `remove` write `domains` into the manifest.

Examples:
  paas domains alice-diary                            what became of each, and whether it leads here
  paas domains alice-diary add www.example.kr
  paas domains alice-diary remove www.example.kr")]
    Domains(Domains),
    /// Print a completion script for a shell
    #[command(after_help = "Examples:\n  paas completions bash > ~/.local/share/bash-completion/completions/paas")]
    Completions(Completions),
    /// Print the names of what there is, for completion scripts
    #[command(hide = true, after_help = "Examples:\n  paas names apps")]
    Names(Names),
    /// Write the manual pages into a folder, for packages
    #[command(hide = true, after_help = "Examples:\n  paas man ./man")]
    Man(Man),
    /// Print the version of this program, and of the daemon that runs
    #[command(after_help = "Examples:\n  paas version\n  paas version -o json")]
    Version,
    /// Look for what would keep the daemon from working
    #[command(after_help = "Examples:\n  paas doctor")]
    Doctor,
    /// Keep apps away from this host's own ports and from the networks around it
    #[command(after_help = "\
Docker keeps apps away from each other. That they reach neither this host's own services nor the home's network is for the
firewall to see to; `paas doctor` tries it out. The rules are a table of their own (nftables) and leave everything else as it is.
They hold until the next boot: the unit minipaas-firewall.service puts them in force again. Without an option they are printed.

Examples:
  paas firewall                            what the rules are
  sudo paas firewall --apply
  sudo paas firewall --check               exit code 1: they are not in force
  sudo paas firewall --remove")]
    Firewall(Firewall),
    /// Nginx Proxy Manager: how it is, and what would be changed in it
    #[command(
        subcommand,
        after_help = "\
With NPM_URL set the daemon keeps its proxy hosts; see docs/npm.md.

Examples:
  paas npm status                          the daemon's last look; exit code 1: it is away, or refuses
  paas npm plan                            a look of now; exit code 2: something would be done"
    )]
    Npm(Npm),
}

#[derive(Debug, Clone, Copy, Subcommand)]
pub enum Npm {
    /// Show the hosts that are looked after, and what is wrong
    Status,
    /// Look, and say what would be done
    Plan,
}

#[derive(Debug, Args)]
pub struct Serve {
    /// Write the log into this file (at most three of 10 MB: FILE, FILE.1, FILE.2), instead of `PAAS_LOG_FILE`; without
    /// either to standard error
    #[arg(long, value_name = "FILE")]
    pub log_file: Option<PathBuf>,
}

impl Serve {
    /// Where the log goes; `None`: to standard error.
    #[must_use]
    pub fn log_file(&self) -> Option<PathBuf> {
        let by_environment = || std::env::var_os("PAAS_LOG_FILE").filter(|path| !path.is_empty()).map(PathBuf::from);
        self.log_file.clone().or_else(by_environment)
    }
}

#[derive(Debug, Args)]
#[group(multiple = false)]
pub struct Firewall {
    /// Put the rules in force, instead of those that are (root)
    #[arg(long)]
    pub apply: bool,
    /// Take the rules away (root)
    #[arg(long)]
    pub remove: bool,
    /// Say whether the rules are in force (root)
    #[arg(long)]
    pub check: bool,
}

#[derive(Debug, Args)]
pub struct Backup {
    /// The app, for example `alice-diary`
    #[arg(value_name = "APP", required = true)]
    pub app: Option<String>,
    #[command(subcommand)]
    pub command: Option<OfBackup>,
}

#[derive(Debug, Subcommand)]
pub enum OfBackup {
    /// List backups, newest first, and whether each was proven
    #[command(after_help = "Examples:\n  paas backup list\n  paas backup list alice-diary -o json")]
    List(OptionalApp),
    /// Restore a backup into a folder of its own and look whether everything is right; the app is not touched
    #[command(
        after_help = "Examples:\n  paas backup check alice-diary\n  paas backup check alice-diary 20261130T030000000Z"
    )]
    Check(CheckBackup),
}

#[derive(Debug, Args)]
pub struct RestoreApp {
    /// The app, for example `alice-diary`
    #[arg(value_name = "APP")]
    pub app: String,
    /// A day, a moment, or a backup from `paas backup list` [default: the newest]
    #[arg(long, value_name = "TIME", conflicts_with = "undo")]
    pub at: Option<String>,
    /// Take the last restore back
    #[arg(long)]
    pub undo: bool,
}

#[derive(Debug, Args)]
pub struct CheckBackup {
    /// The app, for example `alice-diary`
    #[arg(value_name = "APP")]
    pub app: String,
    /// The backup [default: the newest]
    #[arg(value_name = "BACKUP")]
    pub backup: Option<String>,
}

#[derive(Debug, Subcommand)]
pub enum Trash {
    /// List the code and data of deleted apps, oldest first
    #[command(after_help = "Examples:\n  paas trash list\n  paas trash list bob-notes")]
    List(OptionalApp),
    /// Bring an app's code or data back; what is there by then goes into the trash in its stead
    #[command(after_help = "\
The app must not be running.

Examples:
  paas trash list
  paas stop bob-notes
  paas trash restore 20261122T100000Z-bob-notes-data-0000
  paas start bob-notes")]
    Restore(Restore),
}

#[derive(Debug, Args)]
pub struct Restore {
    /// Name of the entry, as `paas trash list` shows it
    #[arg(value_name = "ENTRY")]
    pub entry: String,
}

#[derive(Debug, Subcommand)]
pub enum Template {
    /// Say what is wrong with the template in a folder
    #[command(after_help = "\
It looks at template.json, app/server.js, the picture, the form (content.schema.json) and what it is filled in with. Exit code 1
when something is wrong.

Examples:
  paas template check .paas/templates/poem-v1
  paas template check ./poem-v1 -o json")]
    Check(CheckTemplate),
    /// Begin a template as a copy of another one, in the templates folder
    #[command(after_help = "Examples:\n  paas template new poem-v1\n  paas template new our-party-v1 --from invite-v1")]
    New(NewTemplate),
}

#[derive(Debug, Args)]
pub struct CheckTemplate {
    /// The template's folder
    #[arg(value_name = "FOLDER", value_hint = clap::ValueHint::DirPath)]
    pub folder: PathBuf,
}

#[derive(Debug, Args)]
pub struct NewTemplate {
    /// What it is to be called: small letters, digits and hyphens, for example `poem-v1`
    #[arg(value_name = "NAME")]
    pub name: TemplateId,
    /// The template to begin with
    #[arg(long, value_name = "TEMPLATE", default_value = "links-v1")]
    pub from: TemplateId,
}

#[derive(Debug, Subcommand)]
pub enum Admin {
    /// Give a user a new password, shown once, and end all their sessions
    #[command(after_help = "\
The daemon may be running. The password must be changed at the first login. On a terminal it asks what becomes of the user's API
keys; elsewhere they stay, unless --revoke-all is given.

Examples:
  paas admin reset-password
  paas admin reset-password --revoke-all
  paas admin reset-password --keep -o json")]
    ResetPassword(ResetPassword),
    /// Sign a user out everywhere and revoke all their API keys
    #[command(after_help = "\
The daemon may be running: what was opened with a session or a key ends within a second. The password stays; if it may be known
to somebody, say `paas admin reset-password --revoke-all` instead.

Examples:
  paas admin revoke
  paas admin revoke --username alice")]
    Revoke(RevokeAll),
}

#[derive(Debug, Args)]
pub struct ResetPassword {
    /// Whose password
    #[arg(long, value_name = "NAME", default_value = crate::accounts::FIRST_USER)]
    pub username: String,
    /// Also revoke all API keys of the user
    #[arg(long)]
    pub revoke_all: bool,
    /// Let the API keys be, without asking
    #[arg(long, conflicts_with = "revoke_all")]
    pub keep: bool,
}

#[derive(Debug, Args)]
pub struct RevokeAll {
    /// Whose sessions and keys
    #[arg(long, value_name = "NAME", default_value = crate::accounts::FIRST_USER)]
    pub username: String,
}

#[derive(Debug, Args)]
pub struct Validate {
    /// Manifests to check, folders of manifests, `-` for standard input; all of the installation when none is named
    #[arg(value_name = "FILES")]
    pub files: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub struct OptionalApp {
    /// Only this app, for example `alice-diary`
    #[arg(value_name = "APP")]
    pub app: Option<String>,
}

#[derive(Debug, Args)]
pub struct OneApp {
    /// The app, for example `alice-diary`
    #[arg(value_name = "APP")]
    pub app: String,
}

#[derive(Debug, Args)]
pub struct Preview {
    /// The app, for example `alice-diary`
    #[arg(value_name = "APP")]
    pub app: String,
    /// The version [default: the last that answered, before the one that runs]
    #[arg(value_name = "VERSION", conflicts_with = "stop")]
    pub version: Option<String>,
    /// Take the preview away
    #[arg(long)]
    pub stop: bool,
}

#[derive(Debug, Args)]
pub struct Draft {
    /// The app, for example `alice-page`
    #[arg(value_name = "APP")]
    pub app: String,
    /// Make a version of it and let that run
    #[arg(long, conflicts_with = "discard")]
    pub publish: bool,
    /// Forget it
    #[arg(long)]
    pub discard: bool,
}

#[derive(Debug, Args)]
pub struct Status {
    /// Only this app, in detail
    #[arg(value_name = "APP")]
    pub app: Option<String>,
    /// Go on showing changes until interrupted
    #[arg(short, long)]
    pub watch: bool,
}

#[derive(Debug, Args)]
pub struct Logs {
    /// The app, for example `alice-diary`
    #[arg(value_name = "APP", required_unless_present = "image")]
    pub app: Option<String>,
    /// Instead what Docker said when the image that all apps run in was built last
    #[arg(long, conflicts_with_all = ["app", "follow"])]
    pub image: bool,
    /// Go on with what the app writes from now on
    #[arg(short, long)]
    pub follow: bool,
    /// How many of the last lines, at most 10000
    #[arg(short = 'n', long, value_name = "LINES", default_value_t = 100, value_parser = clap::value_parser!(u32).range(0..=10_000))]
    pub lines: u32,
}

#[derive(Debug, Args)]
pub struct Events {
    /// Only what was done to this app
    #[arg(value_name = "APP")]
    pub app: Option<String>,
    /// How many of the last events, at most 1000
    #[arg(short = 'n', long, value_name = "EVENTS", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub lines: u32,
}

#[derive(Debug, Clone, Copy, Args)]
pub struct Wait {
    /// How long to wait until the world has followed [default: the app's startTimeout and 10 more]
    #[arg(long, value_name = "SECONDS", conflicts_with = "no_wait")]
    pub wait: Option<u64>,
    /// Only write the manifest
    #[arg(long)]
    pub no_wait: bool,
}

#[derive(Debug, Args)]
pub struct Change {
    #[command(flatten)]
    pub chosen: Chosen,
    #[command(flatten)]
    pub wait: Wait,
}

/// One app or several.
#[derive(Debug, Args)]
pub struct SomeApps {
    /// The app, for example `alice-diary`; several are possible
    #[arg(value_name = "APP", required = true)]
    pub apps: Vec<String>,
}

#[derive(Debug, Args)]
pub struct SleepArgs {
    #[command(flatten)]
    pub apps: SomeApps,
    /// Without a visitor for so long it sleeps, `10s` to `168h`; `never` keeps it awake
    #[arg(long, value_name = "TIME")]
    pub after: Option<Sleep>,
    #[command(flatten)]
    pub wait: Wait,
}

/// What a command is about.
#[derive(Debug, Args)]
pub struct Chosen {
    /// The app, for example `alice-diary`; several are possible
    #[arg(value_name = "APP", required_unless_present = "all")]
    pub apps: Vec<String>,
    /// All apps; asks first
    #[arg(long, conflicts_with = "apps")]
    pub all: bool,
    /// Do not ask before `--all`
    #[arg(short, long)]
    pub yes: bool,
}

#[derive(Debug, Args)]
pub struct Create {
    /// Owner and name, for example `alice-diary`
    #[arg(value_name = "USERID-APPNAME")]
    pub app: AppKey,
    /// Template to make it from, for example `diary-v1`; without it, those that are there are listed
    #[arg(short, long, value_name = "TEMPLATE")]
    pub template: Option<TemplateId>,
    /// Begin with the template's code, also where the app was deleted before and its own is in the trash
    #[arg(long)]
    pub fresh: bool,
    /// Turn the app's HTTP API on
    #[arg(long)]
    pub enable_api: bool,
    /// Memory limit, for example `256m`
    #[arg(long, value_name = "SIZE")]
    pub memory: Option<Bytes>,
    /// CPU limit in cores, for example `0.5`
    #[arg(long, value_name = "CORES")]
    pub cpus: Option<MilliCpus>,
    /// Most processes and threads at a time
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    pub pids: Option<u32>,
    /// Restart policy: no, always, unless-stopped, on-failure[:n]
    #[arg(long, value_name = "POLICY")]
    pub restart: Option<RestartPolicy>,
    /// Soft quota on the app's data, for example `1g`
    #[arg(long, value_name = "SIZE")]
    pub disk: Option<Bytes>,
    /// Extra environment variable; repeat for more
    #[arg(short, long, value_name = "NAME=VALUE", value_parser = variable)]
    pub env: Vec<(String, String)>,
    #[command(flatten)]
    pub wait: Wait,
}

fn variable(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write NAME=VALUE, for example GREETING=hello".to_owned()),
    }
}

#[derive(Debug, Args)]
pub struct Delete {
    /// The app, for example `alice-diary`
    #[arg(value_name = "APP")]
    pub app: String,
    /// Move the app's data to trash as well; also for an app whose manifest is gone already
    #[arg(long)]
    pub purge: bool,
    /// Do not ask before a purge
    #[arg(short, long)]
    pub yes: bool,
    #[command(flatten)]
    pub wait: Wait,
}

#[derive(Debug, Args)]
pub struct Confirm {
    /// The token shown with what is held; without it the command only shows
    #[arg(value_name = "TOKEN")]
    pub token: Option<String>,
}

#[derive(Debug, Args)]
pub struct Yes {
    /// Do not ask
    #[arg(short, long)]
    pub yes: bool,
}

#[derive(Debug, Args)]
pub struct Man {
    #[arg(value_name = "FOLDER")]
    pub folder: PathBuf,
}

#[derive(Debug, Args)]
pub struct Names {
    #[arg(value_name = "KIND")]
    pub of: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    Apps,
    Templates,
}

#[derive(Debug, Args)]
pub struct Completions {
    #[arg(value_name = "SHELL")]
    pub shell: clap_complete::Shell,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_has_examples_and_a_one_line_summary() {
        for command in Cli::command().get_subcommands() {
            let name = command.get_name();
            let about = command.get_about().map(ToString::to_string).unwrap_or_default();
            assert!(!about.is_empty() && !about.contains('\n') && about.len() <= 80, "{name}: {about:?}");
            let after = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(
                after.contains("Examples:") && after.contains(&format!("paas {name}"))
                    || name == "serve"
                    || name == "init",
                "{name}"
            );
        }
    }
}
