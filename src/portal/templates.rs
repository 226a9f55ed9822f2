//! `GET /templates`: what an app can be made from.

use axum::extract::State;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::code;
use super::edits::blocking;
use super::envelope::{ApiError, Data, said};
use super::state::PortalState;
use crate::desired::templates;
use crate::model::{Shown, Template, TemplateId};

/// One folder of the templates folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TemplateView {
    /// What `templateId` names.
    pub id: TemplateId,
    /// For people, in the template's own language; the id when it cannot be used.
    pub name: String,
    pub description: String,
    pub version: String,
    /// Whether `enableApi` means anything to it.
    pub supports_api: bool,
    /// Why no app can be made from it, and what to do; null when one can.
    pub problem: Option<String>,
}

/// Read anew each time: they are few, and whoever has just put one there wants to see it.
pub async fn list(State(state): State<PortalState>) -> Result<Data<Vec<TemplateView>>, ApiError> {
    let folder = state.settings_rx.borrow().templates_dir.clone();
    blocking(move || match templates::load(&folder) {
        Ok(found) => Ok(Data(found.into_iter().map(|(id, template)| view(id, template)).collect())),
        Err(error) => {
            let folder = Shown::path(&folder);
            Err(ApiError::new(
                code::TEMPLATES_UNAVAILABLE,
                said!(
                    "the templates folder {folder} cannot be read ({error}): check that it exists and its permissions",
                    "템플릿 폴더 {folder}을(를) 읽을 수 없습니다: 폴더가 있는지, 권한이 맞는지 확인하세요"
                ),
            ))
        }
    })
    .await
}

fn view(id: TemplateId, template: Result<Template, String>) -> TemplateView {
    match template {
        Ok(Template { id, name, description, version, supports_api, .. }) => {
            TemplateView { id, name, description, version, supports_api, problem: None }
        }
        Err(problem) => TemplateView {
            name: id.to_string(),
            id,
            description: String::new(),
            version: String::new(),
            supports_api: false,
            problem: Some(problem),
        },
    }
}
