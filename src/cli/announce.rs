//! Tells the daemon who is about to write a manifest, so that its event log names the command line.

use std::time::Duration;

use super::client::Client;
use crate::model::{AppKey, Digest};
use crate::portal::edits::{Announce, Announced};

/// The daemon answers at once or is in trouble; an edit does not wait for that.
const PATIENCE: Duration = Duration::from_secs(2);

/// Without a daemon nobody listens; the edit is made all the same and counts as made to the file.
pub async fn announce(client: &Client, key: &AppKey, digest: &Digest) {
    let told = Announce { app: key.clone(), digest: digest.clone() };
    let _ = tokio::time::timeout(PATIENCE, client.post::<Announced>("/edits", &told)).await;
}
