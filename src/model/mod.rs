//! The vocabulary of the product as plain values.
//!
//! **Architecture invariant:** nothing in here performs I/O, reads a clock or knows an async runtime. Text is parsed
//! into these types once at the edge and never validated again.

pub mod cidr;
pub mod content;
pub mod cron;
pub mod diagnosis;
pub mod domain_name;
pub mod event;
pub mod inventory;
pub mod labels;
pub mod manifest;
pub mod memory;
pub mod names;
pub mod observed;
pub mod picture;
pub mod preview;
pub mod proxy;
pub mod public_url;
pub mod quotas;
pub mod settings;
pub mod shown;
pub mod sleep;
pub mod spec;
pub mod status;
pub mod subnet;
pub mod template;
pub mod units;
pub mod version;
pub mod visitors;

pub use cidr::{Cidr, CidrError};
pub use diagnosis::{Diagnosis, DiagnosisCode};
pub use domain_name::{DomainName, DomainNameError};
pub use event::{Cause, Event, EventKind};
pub use inventory::{FailedDeploy, FolderState, Incoming, InventoryRow, Restore, Restored};
pub use labels::{InstanceId, Ownership};
pub use manifest::{CodeMode, Manifest, OnHang, PurgeToken, Restart, RunState, Strategy};
pub use names::{AppKey, AppName, NameError, TemplateId, UserId};
pub use observed::{ContainerId, ContainerState, ObservedContainer, ObservedImage, ObservedNetwork};
pub use preview::{PreviewId, PreviewRecord, PreviewSource, PreviewStatus};
pub use public_url::{PublicUrl, Scheme};
pub use quotas::Quotas;
pub use settings::{Routing, Settings};
pub use shown::Shown;
pub use sleep::{Sleep, Wake};
pub use spec::{AppSpec, ContainerSpec, Identity, Limits};
pub use status::{AppStatus, Condition, ConditionKind, DaemonStatus, Health, SyncState};
pub use subnet::{Subnet, SubnetError};
pub use template::{Template, TemplateRestart};
pub use units::{Bytes, Digest, MilliCpus, RestartPolicy, Seconds, Timestamp};
pub use version::{Code, SavedEdits, VersionId, VersionRecord};
pub use visitors::{Audience, Visitors};
