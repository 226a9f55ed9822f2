//! How many apps each person may have.

use std::collections::BTreeMap;

use super::UserId;

/// Those who may have another number of apps than `MAX_APPS_PER_USER`, and how many.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Quotas(BTreeMap<UserId, u32>);

impl Quotas {
    #[must_use]
    pub fn new(own: BTreeMap<UserId, u32>) -> Self {
        Self(own)
    }

    /// `None`: as the settings say.
    #[must_use]
    pub fn of(&self, user: &UserId) -> Option<u32> {
        self.0.get(user).copied()
    }
}
