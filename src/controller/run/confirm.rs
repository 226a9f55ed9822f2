//! `paas confirm`: a person lets go on what is held.
//!
//! # Guarantees
//! - Nobody can confirm what the daemon cannot see: while the manifests folder cannot be trusted, each is refused.

use tokio::sync::oneshot;

use super::Controller;
use super::removals::Asked;
use crate::controller::handle::ConfirmError;
use crate::controller::seams::Seams;
use crate::model::AppKey;
use crate::model::status::ManifestsStatus;

impl<W: Seams> Controller<W> {
    pub(super) fn confirm(
        &mut self,
        token: &str,
        by: &str,
        answer: oneshot::Sender<Result<Vec<AppKey>, ConfirmError>>,
    ) {
        let result = match (&self.status.manifests, &self.held) {
            (ManifestsStatus::Unknown, _) => {
                Err(ConfirmError::OutOfSight { reason: "it was not read yet; wait a moment".to_owned() })
            }
            (ManifestsStatus::Unavailable { reason, .. }, _) => {
                Err(ConfirmError::OutOfSight { reason: reason.clone() })
            }
            (ManifestsStatus::Complete, None) => Err(ConfirmError::NothingHeld),
            (ManifestsStatus::Complete, Some(held)) if held.token != token => {
                Err(ConfirmError::Changed { current: held.token.clone() })
            }
            (ManifestsStatus::Complete, Some(held)) => Ok(held.apps.clone()),
        };
        match result {
            Ok(apps) if !planted!(ConfirmationForgotten) => {
                self.removal_writer.ask(Asked { apps, by: by.to_owned(), answer });
                self.note_removals();
            }
            // Nobody waits any more: nothing came of it anyway.
            result => drop(answer.send(result)),
        }
    }
}

#[cfg(test)]
mod daemon_tests;
