//! `GET /templates`: what an app can be made from, and `GET /templates/{template}/preview`: its picture.

use std::io::Read as _;
use std::path::Path;

use axum::extract::{Path as PathParams, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::IntoResponse;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::code;
use super::describe::Operation;
use super::edits::blocking;
use super::envelope::{ApiError, Data, said};
use super::state::PortalState;
use crate::desired::resolve::suggested_visitors;
use crate::desired::templates;
use crate::model::{Routing, Settings, Shown, Template, TemplateId, Visitors};

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
    /// Who may see a new site of it and change something in it, unless it is made otherwise; null while `PAAS_ROUTING` is
    /// `direct`, where nobody can be kept out.
    pub visitors: Option<Visitors>,
    /// Why no app can be made from it, and what to do; null when one can.
    pub problem: Option<String>,
}

/// Read anew each time: they are few, and whoever has just put one there wants to see it.
pub async fn list(State(state): State<PortalState>) -> Result<Data<Vec<TemplateView>>, ApiError> {
    let settings = state.settings_rx.borrow().clone();
    let folder = settings.templates_dir.clone();
    blocking(move || match templates::load(&folder) {
        Ok(found) => Ok(Data(found.into_iter().map(|(id, template)| view(id, template, &settings)).collect())),
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

pub(super) fn list_described() -> Operation {
    Operation::new("apps", "listTemplates", "What an app can be made from")
        .answers::<Vec<TemplateView>>(200, "In order of their ids; unusable ones say why.")
        .refuses(&[code::TEMPLATES_UNAVAILABLE, code::STOPPING])
}

/// Beside `template.json`. A picture, not a page: 600 points wide are plenty.
const PREVIEW: &str = "preview.webp";
const MAX_PREVIEW: u64 = 512 << 10;

/// The picture that a template brings to show what is made of it.
pub async fn preview(
    State(state): State<PortalState>,
    PathParams(id): PathParams<String>,
) -> Result<impl IntoResponse, ApiError> {
    let none = || {
        let most = MAX_PREVIEW >> 10;
        ApiError::new(
            code::NO_PREVIEW,
            said!(
                "this template has no picture: put `{PREVIEW}` of at most {most} KiB into its folder",
                "이 템플릿에는 그림이 없습니다: 템플릿 폴더에 {most} KiB 이하의 `{PREVIEW}` 파일을 넣으세요"
            ),
        )
    };
    // The id is a plain name, so it leads nowhere but into the folder.
    let id = TemplateId::parse(&id).map_err(|_| none())?;
    let file = state.settings_rx.borrow().templates_dir.join(id.as_str()).join(PREVIEW);
    let picture = blocking(move || read_picture(&file).ok_or_else(none)).await?;
    // Asked for again after a while: a template may get another one.
    Ok(([(CONTENT_TYPE, "image/webp"), (CACHE_CONTROL, "private, max-age=300")], picture))
}

pub(super) fn preview_described() -> Operation {
    Operation::new("apps", "templatePreview", "A picture of what a template makes")
        .more("`preview.webp` in the template's folder.")
        .answers_with(200, "image/webp", "The picture.")
        .refuses(&[code::NO_PREVIEW, code::STOPPING])
}

/// `None`: there is none, or it is too large or no picture of that kind.
fn read_picture(file: &Path) -> Option<Vec<u8>> {
    let mut picture = Vec::new();
    std::fs::File::open(file).ok()?.take(MAX_PREVIEW + 1).read_to_end(&mut picture).ok()?;
    let fits = picture.len() as u64 <= MAX_PREVIEW;
    let is_webp = picture.starts_with(b"RIFF") && picture.get(8..12) == Some(b"WEBP");
    (fits && is_webp).then_some(picture)
}

fn view(id: TemplateId, template: Result<Template, String>, settings: &Settings) -> TemplateView {
    let is_guarded = settings.routing == Routing::Gateway;
    match template {
        Ok(template) => {
            let visitors = suggested_visitors(&template, settings).unwrap_or(settings.visitors);
            let Template { id, name, description, version, supports_api, .. } = template;
            let visitors = is_guarded.then_some(visitors);
            TemplateView { id, name, description, version, supports_api, visitors, problem: None }
        }
        Err(problem) => TemplateView {
            name: id.to_string(),
            id,
            description: String::new(),
            version: String::new(),
            supports_api: false,
            visitors: None,
            problem: Some(problem),
        },
    }
}
