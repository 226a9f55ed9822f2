//! placeholder until the compose branch lands
use crate::model::ContainerSpec;
#[must_use]
pub fn compose_yaml(spec: &ContainerSpec) -> String {
    format!("# {}\n", spec.name)
}
