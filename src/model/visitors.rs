//! Who may see a site, and who may change something in it (SPEC §12).

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize};

/// A circle of visitors; each holds those after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Audience {
    #[default]
    Everyone,
    /// Whoever came by an invitation link of the app, or knows its password; and the owner.
    Guests,
    /// The member whose app it is, and admins.
    Owner,
}

impl Audience {
    pub const ALL: [Self; 3] = [Self::Everyone, Self::Guests, Self::Owner];

    /// As a manifest says it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Everyone => "everyone",
            Self::Guests => "guests",
            Self::Owner => "owner",
        }
    }

    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|audience| audience.word() == word)
    }
}

impl fmt::Display for Audience {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// What `visitors` says. Who may change something may see it: `change` is never wider than `view`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(try_from = "Written")]
pub struct Visitors {
    view: Audience,
    change: Audience,
}

impl Visitors {
    pub const EVERYONE: Self = Self { view: Audience::Everyone, change: Audience::Everyone };
    pub const OWNER: Self = Self { view: Audience::Owner, change: Audience::Owner };

    /// `None`: strangers to the site could change it.
    #[must_use]
    pub fn new(view: Audience, change: Audience) -> Option<Self> {
        (change >= view).then_some(Self { view, change })
    }

    /// One word for both.
    #[must_use]
    pub fn both(audience: Audience) -> Self {
        Self { view: audience, change: audience }
    }

    /// Who may see it: `GET`, `HEAD`, `OPTIONS`.
    #[must_use]
    pub fn view(self) -> Audience {
        self.view
    }

    /// Who may change something: every other method, and upgrades.
    #[must_use]
    pub fn change(self) -> Audience {
        self.change
    }

    /// Whom both let in.
    #[must_use]
    pub fn within(self, other: Self) -> Self {
        Self { view: self.view.max(other.view), change: self.change.max(other.change) }
    }

    /// Nobody is asked for anything.
    #[must_use]
    pub fn is_open(self) -> bool {
        self.change == Audience::Everyone
    }
}

/// As a manifest says it, in its shorter form where both are the same.
impl fmt::Display for Visitors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { view, change } = self;
        if view == change { write!(f, "{view}") } else { write!(f, "{{view: {view}, change: {change}}}") }
    }
}

/// Both forms.
#[derive(Deserialize)]
#[serde(untagged, deny_unknown_fields)]
enum Written {
    Both(Audience),
    Each {
        view: Audience,
        // Left out, or one of the words: nothing says what null is to mean.
        #[serde(default, deserialize_with = "given")]
        change: Option<Audience>,
    },
}

fn given<'de, D: Deserializer<'de>>(value: D) -> Result<Option<Audience>, D::Error> {
    Audience::deserialize(value).map(Some)
}

impl TryFrom<Written> for Visitors {
    type Error = &'static str;

    fn try_from(written: Written) -> Result<Self, &'static str> {
        let (view, change) = match written {
            Written::Both(audience) => (audience, audience),
            Written::Each { view, change } => (view, change.unwrap_or(view)),
        };
        Self::new(view, change).ok_or("`change` is wider than `view`")
    }
}

impl JsonSchema for Visitors {
    fn schema_name() -> Cow<'static, str> {
        "Visitors".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let audience = generator.subschema_for::<Audience>();
        json_schema!({
            "description": "One word for both, or who may see it and who may change something; `change` is never wider than `view`.",
            "anyOf": [
                audience.clone(),
                {
                    "type": "object",
                    "properties": {"view": audience.clone(), "change": audience},
                    "required": ["view"],
                    "additionalProperties": false
                }
            ]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_change_something_may_see_it() {
        for view in Audience::ALL {
            for change in Audience::ALL {
                assert_eq!(Visitors::new(view, change).is_some(), change >= view, "{view} {change}");
            }
        }
        assert!(serde_json::from_str::<Visitors>(r#"{"view": "owner", "change": "guests"}"#).is_err());
        assert!(serde_json::from_str::<Visitors>(r#"{"view": "owner", "change": null}"#).is_err());
    }

    #[test]
    fn both_forms_are_read_and_come_back_as_they_were() {
        for (text, want) in [
            (r#""guests""#, "guests"),
            (r#"{"view": "guests"}"#, "guests"),
            (r#"{"view": "everyone", "change": "owner"}"#, "{view: everyone, change: owner}"),
        ] {
            let visitors: Visitors = serde_json::from_str(text).unwrap();
            assert_eq!(visitors.to_string(), want);
            let again = serde_json::to_string(&visitors).unwrap();
            assert_eq!(serde_json::from_str::<Visitors>(&again).unwrap(), visitors, "{again}");
        }
    }
}
