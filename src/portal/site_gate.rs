//! What the gateway asks of passes, answered by the accounts.

use std::net::IpAddr;
use std::sync::Arc;

use crate::accounts::{EnterError, Refused, SiteAccess};
use crate::gateway::{Answered, Entered, Entry, EntryRefused, Gate};
use crate::model::{AppKey, Audience};

/// Everything the gateway knows of visitors.
#[derive(Debug, Clone)]
pub struct SiteGate(pub Arc<SiteAccess>);

impl Gate for SiteGate {
    fn holds(&self, app: &AppKey, pass: &str) -> Option<Audience> {
        self.0.holds(app, pass)
    }

    fn has_password(&self, app: &AppKey) -> bool {
        self.0.has_password(app)
    }

    fn changes(&self) -> Answered<()> {
        Box::pin(self.0.changes())
    }

    fn enter(&self, app: AppKey, by: Entry, from: IpAddr) -> Answered<Result<Entered, EntryRefused>> {
        let sites = Arc::clone(&self.0);
        Box::pin(async move {
            let entered = match &by {
                Entry::Code { code, browser } => sites.enter_by_code(&app, code, browser).await,
                Entry::Password { password, path } => sites.enter_by_password(&app, password, path, from).await,
            };
            match entered {
                Ok(entered) => {
                    Ok(Entered { pass: entered.pass.reveal().to_owned(), life: entered.life, path: entered.path })
                }
                Err(EnterError::Wrong) => Err(EntryRefused::Wrong),
                Err(EnterError::Refused(Refused::TooOften { after } | Refused::TooManyKeys { after })) => {
                    Err(EntryRefused::TooOften { after })
                }
                Err(EnterError::Refused(Refused::Busy)) => Err(EntryRefused::Unable),
                Err(EnterError::Failed(failure)) => {
                    tracing::warn!(%failure, %app, "a visitor could not be let in");
                    Err(EntryRefused::Unable)
                }
            }
        })
    }

    fn leave(&self, pass: String) -> Answered<()> {
        let sites = Arc::clone(&self.0);
        Box::pin(async move {
            if let Err(error) = sites.leave(&pass).await {
                tracing::warn!(%error, "a visitor's pass could not be removed");
            }
        })
    }
}
