//! Which part of a question failed, so that the remedy can be named.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use tokio_rustls::rustls::{AlertDescription, CertificateError, Error as Rustls};

/// Why there is no answer; the parts in the order in which they come.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    #[error("no address is known for `{host}` ({why})")]
    Name { host: String, why: String },
    #[error("{at} does not answer ({why})")]
    Connection { at: String, address: SocketAddr, why: String },
    #[error("{at}: {trouble}")]
    Tls { at: String, trouble: TlsTrouble },
    #[error("{at} broke off ({why})")]
    Broken { at: String, why: String },
    #[error("{at} gave no answer in {} s", .after.as_secs())]
    Silent { at: String, after: Duration },
}

impl Failure {
    /// Whether the other side may have got the question, and done what it asks for.
    #[must_use]
    pub fn was_sent(&self) -> bool {
        matches!(self, Self::Broken { .. } | Self::Silent { .. })
    }
}

/// Why somebody could not prove to be who they should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TlsTrouble {
    /// Its certificate is of nobody whom the system trusts.
    Untrusted,
    /// Its certificate is for other names.
    OtherName,
    Over,
    /// Not valid yet: one of the two clocks is wrong.
    NotYet,
    /// It speaks something else, as a rule HTTP.
    NotTls,
    /// It knows nobody of that name.
    NoName,
    /// It took no part in the handshake.
    Silent(Duration),
    /// The system trusts nobody at all.
    NoAuthorities,
    Other(String),
}

impl TlsTrouble {
    pub(super) fn of(error: &std::io::Error) -> Self {
        match error.get_ref().and_then(|inner| inner.downcast_ref::<Rustls>()) {
            Some(Rustls::InvalidCertificate(why)) => match why {
                // An authority may have the name of another one.
                CertificateError::UnknownIssuer | CertificateError::BadSignature => Self::Untrusted,
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => Self::OtherName,
                CertificateError::Expired | CertificateError::ExpiredContext { .. } => Self::Over,
                CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => Self::NotYet,
                // One that signed itself is no authority.
                why if why.to_string().contains("CaUsedAsEndEntity") => Self::Untrusted,
                why => Self::Other(why.to_string()),
            },
            Some(Rustls::InvalidMessage(_)) => Self::NotTls,
            Some(Rustls::AlertReceived(AlertDescription::UnrecognisedName)) => Self::NoName,
            Some(other) => Self::Other(other.to_string()),
            None => Self::Other(error.to_string()),
        }
    }
}

impl fmt::Display for TlsTrouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Untrusted => f.write_str("its certificate is of an authority that this machine does not trust"),
            Self::OtherName => f.write_str("its certificate is for another name"),
            Self::Over => f.write_str("its certificate is over"),
            Self::NotYet => f.write_str("its certificate is not valid yet: is one of the clocks wrong?"),
            Self::NotTls => f.write_str("it does not speak TLS there: is it `http://`?"),
            Self::NoName => f.write_str("it knows nobody of that name"),
            Self::Silent(after) => write!(f, "no TLS handshake in {} s", after.as_secs()),
            Self::NoAuthorities => {
                f.write_str("this machine trusts no certificate authority: `apt install ca-certificates`")
            }
            Self::Other(why) => write!(f, "TLS fails ({why})"),
        }
    }
}
