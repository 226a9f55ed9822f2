//! Nginx Proxy Manager's API in words: signing in, and what each of its refusals means.
//!
//! | it answers | that means |
//! |---|---|
//! | 400 to `POST /tokens` | wrong identity or password |
//! | `requires_2fa` | that user has a second step, which nobody here can take |
//! | 400 "Token has expired", 401, 500 to a token it does not know | sign in again, once |
//! | 403; from 2.13 on 404 "Not Found - /nginx/…" | that user may not do this |
//! | 404 "Not Found - 99" | no such host |
//! | 400 "x.kr is already in use" | a host has that name, which this user may not see |
//! | 5xx to a write, or no answer | it may have happened all the same: look again |

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

use super::plan::Observed;
use super::shape::{Certificate, Host, Permissions, Version};
use super::wire::{Ask, Method, Reply, Secret, Wire, WireError};
use crate::model::shown::message;

/// For everything but certificates.
const PATIENCE: Duration = Duration::from_secs(30);
/// Let's Encrypt is asked while we wait: NPM gives it up after 15 minutes at most.
const CERTIFICATE_PATIENCE: Duration = Duration::from_secs(15 * 60);
/// Most of a refusal that is told.
const MOST_WORDS: usize = 300;
/// Most bytes of a password.
const LONGEST_SECRET: u64 = 4096;

/// Why something was not done, or is not known to be done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApiError {
    /// It does not answer, and nothing was done.
    #[error("{0}")]
    Unreachable(String),
    /// What became of it is unknown.
    #[error("{0}")]
    Unsure(String),
    /// It says no; the same again would be refused again.
    #[error("{0}")]
    Refused(String),
    /// A host that this user may not see has the name.
    #[error("{0}")]
    Taken(String),
    /// There is no such host any more.
    #[error("{0}")]
    Gone(String),
}

/// Signs in when it has to. Cheap to clone; clones share what they know.
#[derive(Debug, Clone)]
pub struct Api<W> {
    wire: W,
    identity: String,
    secret_file: PathBuf,
    token: Arc<Mutex<Option<Secret>>>,
}

impl<W: Wire> Api<W> {
    #[must_use]
    pub fn new(wire: W, identity: String, secret_file: PathBuf) -> Self {
        Self { wire, identity, secret_file, token: Arc::default() }
    }

    /// # Errors
    /// [`ApiError`]; [`ApiError::Refused`] for one that is no NPM, or of a version that is not known.
    pub async fn version(&self) -> Result<Version, ApiError> {
        let reply = self.send(Method::Get, "/api/", None, None, PATIENCE).await?;
        let version = Version::read(&reply.body).filter(|_| reply.status == 200).ok_or_else(|| {
            let text = "what answers at NPM_URL is not Nginx Proxy Manager: write the address of its own page, port 81 as a rule";
            ApiError::Refused(text.to_owned())
        })?;
        if version.is_supported() {
            return Ok(version);
        }
        Err(ApiError::Refused(format!(
            "its version {version} is not supported: update it to 2.9 or later of version 2"
        )))
    }

    /// What the user may do; `None`: it does not tell.
    ///
    /// # Errors
    /// [`ApiError`] where nobody is let in.
    pub async fn permissions(&self) -> Result<Option<Permissions>, ApiError> {
        self.sign_in().await?;
        let told = self.call(Method::Get, "/api/users/me?expand=permissions", None, "users", PATIENCE).await;
        Ok(told.ok().and_then(|body| Permissions::read(&body)))
    }

    /// Everything that the user may see.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn observe(&self) -> Result<Observed, ApiError> {
        let hosts = self.list("/api/nginx/proxy-hosts", "proxy hosts").await?;
        let certificates = self.list("/api/nginx/certificates", "certificates").await?;
        Ok(Observed {
            hosts: hosts.iter().filter_map(Host::read).collect(),
            certificates: certificates.iter().filter_map(Certificate::read).collect(),
        })
    }

    async fn list(&self, path: &str, what: &str) -> Result<Vec<Value>, ApiError> {
        match self.call(Method::Get, path, None, what, PATIENCE).await? {
            Value::Array(items) => Ok(items),
            _ => Err(ApiError::Unsure(format!("its list of {what} is none: is something else in between?"))),
        }
    }

    /// # Errors
    /// [`ApiError`]; also when nginx did not take the host, which NPM calls a success.
    pub async fn create_host(&self, body: Value) -> Result<(), ApiError> {
        let made = self.call(Method::Post, "/api/nginx/proxy-hosts", Some(body), "proxy hosts", PATIENCE).await?;
        taken_by_nginx(&made)
    }

    /// # Errors
    /// [`ApiError`]; also when nginx did not take the host, which NPM calls a success.
    pub async fn update_host(&self, id: u64, body: Value) -> Result<(), ApiError> {
        let path = format!("/api/nginx/proxy-hosts/{id}");
        let made = self.call(Method::Put, &path, Some(body), "proxy hosts", PATIENCE).await?;
        taken_by_nginx(&made)
    }

    /// # Errors
    /// [`ApiError`].
    pub async fn enable_host(&self, id: u64) -> Result<(), ApiError> {
        let path = format!("/api/nginx/proxy-hosts/{id}/enable");
        match self.call(Method::Post, &path, None, "proxy hosts", PATIENCE).await {
            // Somebody was faster.
            Err(ApiError::Refused(words)) if words.contains("already enabled") => Ok(()),
            other => other.map(drop),
        }
    }

    /// # Errors
    /// [`ApiError`]; one that is gone already is none.
    pub async fn delete_host(&self, id: u64) -> Result<(), ApiError> {
        let path = format!("/api/nginx/proxy-hosts/{id}");
        match self.call(Method::Delete, &path, None, "proxy hosts", PATIENCE).await {
            Err(ApiError::Gone(_)) => Ok(()),
            other => other.map(drop),
        }
    }

    /// Has Let's Encrypt asked for one. Takes minutes.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn certify(&self, names: &[String], version: Version) -> Result<(), ApiError> {
        let meta = if version.wants_consent() {
            json!({"letsencrypt_email": self.identity, "letsencrypt_agree": true, "dns_challenge": false})
        } else {
            json!({"dns_challenge": false})
        };
        let body = json!({"provider": "letsencrypt", "domain_names": names, "meta": meta});
        self.call(Method::Post, "/api/nginx/certificates", Some(body), "certificates", CERTIFICATE_PATIENCE)
            .await
            .map(drop)
    }

    /// Signed in; once more with a new token where the one that is there is not taken.
    async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
        what: &str,
        patience: Duration,
    ) -> Result<Value, ApiError> {
        let mut is_second = false;
        loop {
            let known = self.token.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let token = match known {
                Some(token) => token,
                None => self.sign_in().await?,
            };
            let reply = self.send(method, path, Some(token), body.clone(), patience).await?;
            if !is_second && is_about_token(&reply) {
                is_second = true;
                *self.token.lock().unwrap_or_else(PoisonError::into_inner) = None;
                continue;
            }
            return self.judged(method, reply, what);
        }
    }

    fn judged(&self, method: Method, reply: Reply, what: &str) -> Result<Value, ApiError> {
        let words = self.words(&reply);
        match reply.status {
            200..=299 => Ok(reply.body),
            400 if words.contains("already in use") => Err(ApiError::Taken(words)),
            404 if words.contains("Not Found - /nginx/") => Err(self.may_not(what)),
            404 => Err(ApiError::Gone(words)),
            401 | 403 => Err(self.may_not(what)),
            // A user without the permission gets this from 2.13 on; so does whoever hits a real fault.
            500..=599 if method != Method::Get => Err(ApiError::Unsure(format!(
                "it fails with {} ({words}): whether its user may change {what} shows under Users, Permissions",
                reply.status
            ))),
            500..=599 => Err(ApiError::Unreachable(format!("it fails with {} ({words})", reply.status))),
            status => Err(ApiError::Refused(format!("{status}: {words}"))),
        }
    }

    fn may_not(&self, what: &str) -> ApiError {
        let identity = message(&self.identity);
        ApiError::Refused(format!(
            "its user {identity} may not manage {what}: in its Users, Permissions, set Proxy Hosts and Certificates to Manage"
        ))
    }

    async fn sign_in(&self) -> Result<Secret, ApiError> {
        let secret = read_secret(&self.secret_file).map_err(ApiError::Refused)?;
        let body = json!({"identity": self.identity, "secret": secret.reveal()});
        let reply = self.send(Method::Post, "/api/tokens", None, Some(body), PATIENCE).await?;
        let said = self.words(&reply);
        let said = if secret.reveal().is_empty() { said } else { said.replace(secret.reveal(), "…") };
        if reply.body.get("requires_2fa").is_some_and(|needs| *needs != Value::Bool(false)) {
            return Err(ApiError::Refused(format!(
                "its user {} signs in with a second step, which nobody takes here: make a user of its own for minipaas, without one",
                message(&self.identity)
            )));
        }
        let token = reply.body.get("token").and_then(Value::as_str);
        match (reply.status, token) {
            (200..=299, Some(token)) => {
                let token = Secret::new(token.to_owned());
                *self.token.lock().unwrap_or_else(PoisonError::into_inner) = Some(token.clone());
                Ok(token)
            }
            (500..=599, _) => Err(ApiError::Unreachable(format!("signing in fails with {} ({said})", reply.status))),
            _ => Err(ApiError::Refused(format!(
                "it does not let {} in ({said}): look at NPM_IDENTITY and at the password in NPM_SECRET_FILE",
                message(&self.identity)
            ))),
        }
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        token: Option<Secret>,
        body: Option<Value>,
        patience: Duration,
    ) -> Result<Reply, ApiError> {
        let ask = Ask { method, path: path.to_owned(), token, body, patience };
        self.wire.ask(ask).await.map_err(|error| match error {
            WireError::NoAnswer(text) if method != Method::Get => ApiError::Unsure(text),
            WireError::Unreachable(text) | WireError::NoAnswer(text) => ApiError::Unreachable(text),
        })
    }

    /// NPM's own, on one line and not too long, and without the token.
    fn words(&self, reply: &Reply) -> String {
        let text = reply.body.pointer("/error/message").and_then(Value::as_str).unwrap_or("it does not say why");
        let cut: String = text.chars().take(MOST_WORDS).collect();
        let token = self.token.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let cut = token
            .filter(|token| !token.reveal().is_empty())
            .map_or(cut.clone(), |token| cut.replace(token.reveal(), "…"));
        message(&cut)
    }
}

/// A host that nginx refused is not there for visitors, whatever NPM says.
fn taken_by_nginx(made: &Value) -> Result<(), ApiError> {
    match Host::read(made).and_then(|host| host.refused_by_nginx) {
        None => Ok(()),
        Some(said) => {
            let said: String = said.chars().take(MOST_WORDS).collect();
            Err(ApiError::Refused(format!("its nginx does not take the host: {}", message(&said))))
        }
    }
}

fn is_about_token(reply: &Reply) -> bool {
    let said = reply.body.pointer("/error/message").and_then(Value::as_str).unwrap_or_default();
    match reply.status {
        401 => true,
        400 => said.contains("Token has expired"),
        // What it makes of a token that another installation signed.
        500 => said.contains("invalid signature") || said.contains("jwt") || said.contains("invalid token"),
        _ => false,
    }
}

/// The password, without the line's end.
///
/// # Errors
/// Why it may not be used, and the remedy; never any of it.
pub fn read_secret(path: &Path) -> Result<Secret, String> {
    use std::io::Read as _;
    use std::os::unix::fs::MetadataExt as _;
    let told = |what: &str| format!("NPM_SECRET_FILE: {}: {what}", path.display());
    let file = std::fs::File::open(path)
        .map_err(|error| told(&format!("it cannot be read ({error}): write the password into it")))?;
    let about = file.metadata().map_err(|error| told(&format!("it cannot be looked at: {error}")))?;
    if !about.is_file() {
        return Err(told("it is no file: write the password into one"));
    }
    if about.mode() & 0o077 != 0 {
        return Err(told("others on this machine may read it: chmod 600"));
    }
    let mut text = String::new();
    let read = file.take(LONGEST_SECRET + 1).read_to_string(&mut text);
    let text = text.trim_end_matches(['\r', '\n']);
    match read {
        Ok(length) if length as u64 <= LONGEST_SECRET && !text.is_empty() && !text.contains('\n') => {
            Ok(Secret::new(text.to_owned()))
        }
        _ => Err(told("it does not hold one line of text: write the password into it, and nothing else")),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a test's file need not be whole")]
    fn a_secret_that_others_may_read_is_not_used() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        assert!(read_secret(&path).unwrap_err().contains("cannot be read"));
        for (text, mode, want) in [
            ("hunter2\n", 0o600, Ok("hunter2")),
            ("hunter2", 0o400, Ok("hunter2")),
            (" with spaces \r\n", 0o600, Ok(" with spaces ")),
            ("hunter2", 0o640, Err("chmod 600")),
            ("hunter2", 0o604, Err("chmod 600")),
            ("", 0o600, Err("one line")),
            ("two\nlines", 0o600, Err("one line")),
        ] {
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            match (read_secret(&path), want) {
                (Ok(secret), Ok(want)) => assert_eq!(secret.reveal(), want),
                (Err(told), Err(want)) => assert!(told.contains(want) && !told.contains("hunter2"), "{told}"),
                (got, want) => panic!("{text:?} {mode:o}: {got:?}, not {want:?}"),
            }
        }
        assert_eq!(format!("{:?}", Secret::new("hunter2".to_owned())), "Secret(…)");
        assert!(read_secret(folder.path()).unwrap_err().contains("no file"));
    }
}
