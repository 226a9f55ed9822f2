//! Whose certificates are believed: those of the system's authorities, as `update-ca-certificates` keeps them.

use std::sync::{Arc, Mutex, PoisonError};

use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::failure::TlsTrouble;

/// Read with the first question over `https`, and once more after one that failed: an authority may have come in between.
#[derive(Debug)]
pub struct Trust {
    /// `None`: the system's.
    only: Option<Vec<CertificateDer<'static>>>,
    config: Mutex<Option<Arc<ClientConfig>>>,
}

impl Trust {
    #[must_use]
    pub fn system() -> Self {
        Self { only: None, config: Mutex::default() }
    }

    /// These authorities and nobody else.
    #[must_use]
    pub fn only(authorities: Vec<CertificateDer<'static>>) -> Self {
        Self { only: Some(authorities), config: Mutex::default() }
    }

    pub(super) async fn config(&self) -> Result<Arc<ClientConfig>, TlsTrouble> {
        if let Some(config) = &*self.config.lock().unwrap_or_else(PoisonError::into_inner) {
            return Ok(Arc::clone(config));
        }
        let only = self.only.clone();
        // The system's are a few hundred KB of text.
        let read = tokio::task::spawn_blocking(move || read(only)).await;
        let config = read.map_err(|error| TlsTrouble::Other(error.to_string()))??;
        *self.config.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&config));
        Ok(config)
    }

    pub(super) fn read_again(&self) {
        *self.config.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

fn read(only: Option<Vec<CertificateDer<'static>>>) -> Result<Arc<ClientConfig>, TlsTrouble> {
    let mut roots = RootCertStore::empty();
    // One that cannot be read is as good as one that is not there.
    roots.add_parsable_certificates(only.unwrap_or_else(|| rustls_native_certs::load_native_certs().certs));
    if roots.is_empty() {
        return Err(TlsTrouble::NoAuthorities);
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| TlsTrouble::Other(error.to_string()))?;
    Ok(Arc::new(config.with_root_certificates(roots).with_no_client_auth()))
}
