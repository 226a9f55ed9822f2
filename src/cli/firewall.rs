//! `paas firewall`: the rules as text, in force, or away again. The one command that changes what is no file of this
//! installation; the daemon has neither the right nor the code to.

use std::io::{self, Write as _};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use anyhow::{Context as _, bail};

use super::args::Firewall;
use super::context::Context;
use super::exit::Exit;
use super::manifests;
use crate::firewall::{self, Deviation, Exceptions};
use crate::model::Settings;

/// Where distributions put it. Not `PATH`: what root runs is not for the environment to say.
const NFT: &[&str] = &["/usr/sbin/nft", "/sbin/nft", "/usr/bin/nft", "/usr/local/sbin/nft"];

/// What puts the rules in force, for messages.
pub(super) const REMEDY: &str = "`sudo paas firewall --apply`";

pub(super) fn run(context: &mut Context, args: &Firewall) -> anyhow::Result<Exit> {
    if args.remove {
        load("--remove", firewall::NONE).context("the rules could not be taken away")?;
        context.out.line(format_args!(
            "the rules are gone: apps reach this host and the networks around it; {REMEDY} ends that"
        ))?;
        return Ok(Exit::Done);
    }
    let exceptions = exceptions(context);
    if args.apply {
        load("--apply", &firewall::rules(&exceptions)).context("the rules are not in force")?;
        if let Err(deviation) = in_force(&exceptions)? {
            bail!("the rules were taken, but {deviation}: see `nft list table inet {}`", firewall::TABLE);
        }
        let beyond =
            if exceptions.lets_into_the_lan() { " (PAAS_APP_LAN lets them into the networks around it)" } else { "" };
        let apps =
            if beyond.is_empty() { "neither this host nor the networks around it" } else { "nothing on this host" };
        context.out.line(format_args!(
            "the rules are in force: apps reach {apps}{beyond}. They hold until the next boot, and beyond it with the unit \
             minipaas-firewall.service; `paas doctor` tries them, `paas firewall --remove` takes them away"
        ))?;
    } else if args.check {
        privileged("--check")?;
        if let Err(deviation) = in_force(&exceptions)? {
            bail!("{deviation}: {REMEDY}");
        }
        context.out.line("the rules are in force; `paas doctor` tries whether they hold")?;
    } else {
        context.out.line(firewall::rules(&exceptions).trim_end())?;
    }
    Ok(Exit::Done)
}

/// Rules without exceptions are better than none: an installation that is not there yet, or whose disk is not, has them too.
fn exceptions(context: &mut Context) -> Exceptions {
    let known = context.settings().and_then(|settings| Ok(Exceptions::of(settings, &manifests::instance(settings)?)));
    known.unwrap_or_else(|error| {
        context.err.warning(format_args!(
            "{error:#}; until then these are the rules without exceptions, for PAAS_ROUTING=gateway and PAAS_APP_LAN=no"
        ));
        Exceptions::default()
    })
}

/// For the doctor: whether the rules are those that the settings ask for. `None` where that cannot be asked: only root may.
pub(super) fn ask(settings: &Settings) -> Option<Result<(), Deviation>> {
    let exceptions = Exceptions::of(settings, &manifests::instance(settings).ok()?);
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    in_force(&exceptions).ok()
}

fn in_force(exceptions: &Exceptions) -> anyhow::Result<Result<(), Deviation>> {
    let said = run_nft(&["list", "table", "inet", firewall::TABLE], "")?;
    let listing = String::from_utf8_lossy(&said.stdout);
    if said.status.success() {
        return Ok(firewall::compare(Some(&listing), exceptions));
    }
    let complaint = String::from_utf8_lossy(&said.stderr);
    if complaint.contains("No such file or directory") {
        return Ok(firewall::compare(None, exceptions));
    }
    bail!("nft does not tell which rules are in force: {}", first_line(&complaint))
}

fn privileged(option: &str) -> anyhow::Result<()> {
    if !rustix::process::geteuid().is_root() {
        bail!("the firewall is root's: `sudo paas firewall {option}`");
    }
    Ok(())
}

fn load(option: &str, rules: &str) -> anyhow::Result<()> {
    privileged(option)?;
    let said = run_nft(&["-f", "-"], rules)?;
    if !said.status.success() {
        let complaint = String::from_utf8_lossy(&said.stderr);
        bail!(
            "nft refuses: {}. It takes root's CAP_NET_ADMIN and a kernel with nftables (5.0 or newer)",
            first_line(&complaint)
        );
    }
    Ok(())
}

/// No shell and nothing of the environment.
fn run_nft(arguments: &[&str], input: &str) -> anyhow::Result<Output> {
    let Some(program) = NFT.iter().find(|path| Path::new(path).exists()) else {
        bail!("nft is missing, the program that changes nftables: `apt install nftables`");
    };
    let mut command = Command::new(program);
    command.args(arguments).env_clear().env("LC_ALL", "C").current_dir("/");
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("{program} cannot be run"))?;
    if let Some(mut stdin) = child.stdin.take() {
        // Why it does not read on is in what it says.
        match stdin.write_all(input.as_bytes()) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => return Err(error.into()),
            _ => {}
        }
    }
    child.wait_with_output().with_context(|| format!("{program} did not end"))
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or("nothing").trim()
}
