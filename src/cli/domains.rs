//! `paas domains APP …`: a site's own host names. They are the manifest's and are edited here, as a person would in an editor; what
//! became of each is asked of the daemon.

use anyhow::bail;

use super::args::{Domains as Args, Format, OfDomains};
use super::client::app_path;
use super::context::Context;
use super::exit::Exit;
use super::manifests::Manifests;
use super::output::{self, table};
use super::wait::{self, Goal};
use crate::desired::{Change, ManifestDir};
use crate::model::domain_name::MAX_DOMAINS;
use crate::model::{AppKey, DomainName, RunState};
use crate::portal::domains::{DomainState, DomainView, DomainsView};
use crate::portal::leads::Leads;

pub(super) async fn run(context: &mut Context, args: &Args) -> anyhow::Result<Exit> {
    let settings = context.settings()?.clone();
    let manifests = Manifests::new(&settings);
    let Some(verb) = &args.verb else {
        let key = manifests.or_parsed(&args.app)?;
        let view = context.client()?.get(&app_path(&key, "/domains")).await;
        return show(context, &view.map_err(|error| manifests.explain(&args.app, error))?);
    };
    let key = manifests.known(&args.app)?;
    let manifest = manifests.manifest(&key)?;
    if manifest.state == RunState::Deleted {
        bail!("`{key}` is deleted: `paas start {key}` takes it back, or create it again");
    }
    let names = match verb {
        OfDomains::Add(one) => {
            let name = DomainName::parse(&one.name)?;
            let machine = rustix::system::uname().nodename().to_string_lossy().into_owned();
            if settings.is_name_of_the_box(&name, &machine) {
                bail!("`{}` is a name of this server itself: take another one", name.told());
            }
            added(&key, manifest.domains, name)?
        }
        OfDomains::Remove(one) => removed(&key, manifest.domains, &DomainName::parse(&one.name)?)?,
    };
    let client = context.client()?;
    let digest = manifests.edit(&client, &key, &[Change::Domains(names)]).await?;
    let goal = Goal { key, digest, state: manifest.state, dir: ManifestDir::new(settings.manifests_dir) };
    wait::wait(context, goal, args.wait).await
}

fn added(key: &AppKey, mut names: Vec<DomainName>, name: DomainName) -> anyhow::Result<Vec<DomainName>> {
    if !names.contains(&name) {
        if names.len() >= MAX_DOMAINS {
            bail!("`{key}` has {MAX_DOMAINS} names already: take one out first");
        }
        names.push(name);
    }
    Ok(names)
}

fn removed(key: &AppKey, mut names: Vec<DomainName>, name: &DomainName) -> anyhow::Result<Vec<DomainName>> {
    let Some(place) = names.iter().position(|known| known == name) else {
        bail!("`{key}` has no name `{}`: `paas domains {key}` lists them", name.told());
    };
    names.remove(place);
    Ok(names)
}

fn show(context: &mut Context, view: &DomainsView) -> anyhow::Result<Exit> {
    let format = context.format(Format::Table);
    if format != Format::Table {
        context.out.value(format, view)?;
        return Ok(Exit::Done);
    }
    if view.domains.is_empty() {
        context.out.line("no host names of its own")?;
    } else {
        let mut table = table(&["NAME", "STATE", "LEADS"]);
        for domain in &view.domains {
            table.add_row(
                [domain.name.told(), state(domain), leads(domain.leads).to_owned()].map(|cell| output::harmless(&cell)),
            );
        }
        context.out.table(&table)?;
    }
    let Some(alias) = &view.records.alias else { return Ok(Exit::Done) };
    let addresses: Vec<_> = view.records.addresses.iter().map(ToString::to_string).collect();
    context.err.note(format_args!(
        "a name leads here by a record at its DNS provider: `CNAME {alias}`{}",
        if addresses.is_empty() { String::new() } else { format!(", or an address: {}", addresses.join(", ")) }
    ));
    Ok(Exit::Done)
}

fn state(domain: &DomainView) -> String {
    match (domain.state, &domain.held_by) {
        (DomainState::InForce, _) => "in force".to_owned(),
        (DomainState::Taken, Some(other)) => format!("belongs to {other}"),
        (DomainState::Taken, None) => "belongs to another app".to_owned(),
        (DomainState::OfTheServer, _) => "a name of this server".to_owned(),
        (DomainState::Pending, _) => "not yet".to_owned(),
    }
}

fn leads(leads: Leads) -> &'static str {
    match leads {
        Leads::Here => "here",
        Leads::Elsewhere => "elsewhere",
        Leads::Nowhere => "nowhere yet",
        Leads::Unknown => "not known",
    }
}
