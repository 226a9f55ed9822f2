//! `paas visitors APP …`: who may enter a site. The word is the manifest's, which is edited here; links and the password are the
//! daemon's, which is asked.

use std::io::{self, BufRead as _, IsTerminal as _};

use anyhow::{Context as _, bail};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

use super::args::{AddLink, Circle, Format, Link, OfVisitors, SitePassword, Visitors as Args};
use super::client::{Client, ClientError, app_path};
use super::context::Context;
use super::exit::Exit;
use super::manifests::Manifests;
use super::output::{self, table};
use super::wait::{self, Goal};
use crate::accounts::GuestLink;
use crate::desired::{Change, ManifestDir, lacks_gate, visitors};
use crate::model::{AppKey, Audience, Manifest, RunState, Visitors};
use crate::portal::visitors::{MadeLink, NewLink, PasswordSet, SetPassword, SignedOut, TakenBack, VisitorsView};

pub(super) async fn run(context: &mut Context, args: &Args) -> anyhow::Result<Exit> {
    let is_change = args.view.is_some() || args.change.is_some();
    if is_change && args.verb.is_some() {
        bail!("`--view` and `--change` go alone: run two commands, one for them and one for the rest");
    }
    if is_change {
        return set(context, args).await;
    }
    let site = Site::new(context, &args.app)?;
    match &args.verb {
        None => site.show(context).await,
        Some(OfVisitors::Links) => site.links(context).await,
        Some(OfVisitors::Link(Link::Add(args))) => site.add_link(context, args).await,
        Some(OfVisitors::Link(Link::Remove(args))) => site.remove_link(context, args.id).await,
        Some(OfVisitors::Password(what)) => site.password(context, *what).await,
        Some(OfVisitors::SignOut) => site.sign_out(context).await,
    }
}

/// By the manifest, as a person would in an editor.
async fn set(context: &mut Context, args: &Args) -> anyhow::Result<Exit> {
    let settings = context.settings()?.clone();
    let manifests = Manifests::new(&settings);
    let key = manifests.known(&args.app)?;
    let manifest = manifests.manifest(&key)?;
    if manifest.state == RunState::Deleted {
        bail!("`{key}` is deleted: `paas start {key}` takes it back, or create it again");
    }
    let wanted = narrowed(visitors(&manifest, &settings), args.view.map(Into::into), args.change.map(Into::into))?;
    let edited = Manifest { visitors: Some(wanted), ..manifest };
    if let Some(lacks) = lacks_gate(&edited, &settings) {
        bail!("nothing was written, because {}: {}", lacks.problem(), lacks.remedy());
    }
    let client = context.client()?;
    let digest = manifests.edit(&client, &key, &[Change::Visitors(Some(wanted))]).await?;
    let goal = Goal { key, digest, state: edited.state, dir: ManifestDir::new(settings.manifests_dir) };
    wait::wait(context, goal, args.wait).await
}

/// What is left out stays; who may change something never becomes more by saying who may see it.
fn narrowed(now: Visitors, view: Option<Audience>, change: Option<Audience>) -> anyhow::Result<Visitors> {
    let seen_by = view.unwrap_or(now.view());
    let changed_by = change.unwrap_or_else(|| now.change().max(seen_by));
    Visitors::new(seen_by, changed_by).with_context(|| {
        format!(
            "`--change {changed_by}` lets in more than may see the site ({seen_by}): say `--view {changed_by}` as well, or fewer \
             for `--change`"
        )
    })
}

/// One app's gate, at the daemon.
struct Site {
    typed: String,
    key: AppKey,
    client: Client,
    manifests: Manifests,
}

impl Site {
    fn new(context: &mut Context, typed: &str) -> anyhow::Result<Self> {
        let manifests = Manifests::new(context.settings()?);
        let key = manifests.or_parsed(typed)?;
        Ok(Self { typed: typed.to_owned(), key, client: context.client()?, manifests })
    }

    fn path(&self, rest: &str) -> String {
        app_path(&self.key, &format!("/visitors{rest}"))
    }

    async fn ask(&self) -> anyhow::Result<VisitorsView> {
        self.client.get(&self.path("")).await.map_err(|error| self.refused(error))
    }

    fn refused(&self, error: ClientError) -> anyhow::Error {
        self.manifests.explain(&self.typed, error)
    }

    async fn show(&self, context: &mut Context) -> anyhow::Result<Exit> {
        let view = self.ask().await?;
        match context.format(Format::Table) {
            Format::Table => {
                let password = if view.password { "guests may come in with it" } else { "none" };
                context.out.line(format_args!("See:       {}", who(view.visitors.view())))?;
                context.out.line(format_args!("Change:    {}", who(view.visitors.change())))?;
                context.out.line(format_args!("Password:  {password}"))?;
                list(context, &view.links)?;
            }
            format => context.out.value(format, &view)?,
        }
        Ok(Exit::Done)
    }

    async fn links(&self, context: &mut Context) -> anyhow::Result<Exit> {
        let links = self.ask().await?.links;
        match context.format(Format::Table) {
            Format::Table => list(context, &links)?,
            format => context.out.value(format, &links)?,
        }
        Ok(Exit::Done)
    }

    /// Only the link goes to standard output, so that a script can take it from there.
    async fn add_link(&self, context: &mut Context, args: &AddLink) -> anyhow::Result<Exit> {
        let new = NewLink { name: args.name.clone(), days: args.expires };
        let made = self.client.post(&self.path("/links"), &new).await;
        let made: MadeLink = made.map_err(|error| self.refused(error))?;
        match context.format(Format::Table) {
            Format::Table => {
                let until = made.link.expires_at.map_or_else(|| "it is taken back".to_owned(), output::local);
                context
                    .err
                    .note(format_args!("link for `{}`, shown only now; it is good until {until}:", made.link.name));
                context.out.line(&made.url)?;
            }
            format => context.out.value(format, &made)?,
        }
        Ok(Exit::Done)
    }

    async fn remove_link(&self, context: &mut Context, id: i64) -> anyhow::Result<Exit> {
        let gone = self.client.delete(&self.path(&format!("/links/{id}")), &serde_json::json!({})).await;
        let gone: TakenBack = gone.map_err(|error| self.refused(error))?;
        match context.format(Format::Table) {
            Format::Table => {
                context
                    .out
                    .line(format_args!("link {} opens nothing any more; whoever came in by it is out", gone.id.0))?;
            }
            format => context.out.value(format, &gone)?,
        }
        Ok(Exit::Done)
    }

    async fn password(&self, context: &mut Context, what: SitePassword) -> anyhow::Result<Exit> {
        let path = self.path("/password");
        let (set, told) = match what {
            SitePassword::Set => {
                let password = typed_password(context)?;
                (self.client.put(&path, &SetPassword { password }).await, "guests come in with the password now")
            }
            SitePassword::Clear => {
                (self.client.delete(&path, &serde_json::json!({})).await, "there is no password any more")
            }
        };
        let set: PasswordSet = set.map_err(|error| self.refused(error))?;
        match context.format(Format::Table) {
            Format::Table => context.out.line(format_args!("{told}; whoever came in by the one before is out"))?,
            format => context.out.value(format, &set)?,
        }
        Ok(Exit::Done)
    }

    async fn sign_out(&self, context: &mut Context) -> anyhow::Result<Exit> {
        let out = self.client.post(&self.path("/sign-out"), &serde_json::json!({})).await;
        let out: SignedOut = out.map_err(|error| self.refused(error))?;
        match context.format(Format::Table) {
            Format::Table => {
                context
                    .out
                    .line(format_args!("browsers that are out: {}; links and the password go on", out.browsers))?;
            }
            format => context.out.value(format, &out)?,
        }
        Ok(Exit::Done)
    }
}

fn who(audience: Audience) -> &'static str {
    match audience {
        Audience::Everyone => "everyone",
        Audience::Guests => "guests (with a link or the password) and the owner",
        Audience::Owner => "the owner, and admins",
    }
}

fn list(context: &mut Context, links: &[GuestLink]) -> anyhow::Result<()> {
    if links.is_empty() {
        context.out.line("no invitation links")?;
        return Ok(());
    }
    let mut rows = table(&["ID", "LINK", "MADE", "GOOD UNTIL", "USES", "LAST USE"]);
    for link in links {
        let or_dash = |time: Option<_>| time.map_or_else(|| "–".to_owned(), output::local);
        rows.add_row([
            link.id.0.to_string(),
            link.name.clone(),
            output::local(link.created_at),
            or_dash(link.expires_at),
            link.uses.to_string(),
            or_dash(link.last_used_at),
        ]);
    }
    context.out.table(&rows)?;
    Ok(())
}

/// One line; from a terminal without showing it.
fn typed_password(context: &mut Context) -> anyhow::Result<String> {
    let stdin = io::stdin();
    let hidden = if stdin.is_terminal() {
        context.err.note("password for guests of the site (it is not shown):");
        Some(Hidden::new()?)
    } else {
        None
    };
    let mut line = String::new();
    stdin.lock().read_line(&mut line).context("the password cannot be read: write it as UTF-8, in one line")?;
    drop(hidden);
    let password = line.trim_end_matches(['\n', '\r']);
    if password.is_empty() {
        bail!("no password was given: write it into standard input, or run this on a terminal; nothing was changed");
    }
    Ok(password.to_owned())
}

/// A terminal that shows nothing of what is typed, until this is dropped.
struct Hidden(Termios);

impl Hidden {
    fn new() -> anyhow::Result<Self> {
        let cannot =
            "the terminal cannot be told to hide what is typed: write the password into standard input instead";
        let before = tcgetattr(io::stdin()).context(cannot)?;
        let mut quiet = before.clone();
        quiet.local_modes.remove(LocalModes::ECHO);
        tcsetattr(io::stdin(), OptionalActions::Flush, &quiet).context(cannot)?;
        Ok(Self(before))
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        // Nothing can be done for a terminal that has gone.
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.0);
    }
}

impl From<Circle> for Audience {
    fn from(circle: Circle) -> Self {
        match circle {
            Circle::Everyone => Self::Everyone,
            Circle::Guests => Self::Guests,
            Circle::Owner => Self::Owner,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_stays_or_becomes_as_narrow_as_it_must() {
        use Audience::{Everyone, Guests, Owner};
        let of = |view, change| Visitors::new(view, change).unwrap();
        for (now, view, change, want) in [
            (of(Everyone, Everyone), Some(Owner), None, Some(of(Owner, Owner))),
            (of(Everyone, Owner), Some(Guests), None, Some(of(Guests, Owner))),
            (of(Owner, Owner), Some(Everyone), None, Some(of(Everyone, Owner))),
            (of(Everyone, Owner), None, Some(Guests), Some(of(Everyone, Guests))),
            (of(Owner, Owner), None, Some(Guests), None),
            (of(Owner, Owner), Some(Guests), Some(Everyone), None),
        ] {
            assert_eq!(narrowed(now, view, change).ok(), want, "{now} {view:?} {change:?}");
        }
    }
}
