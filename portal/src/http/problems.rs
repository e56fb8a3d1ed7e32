//! `GET /problems/{slug}`: what a problem's type says to a person.

use axum::extract::Path;
use axum::response::Html;
use latchkey_protocol::api::problem::ProblemType;

use super::Problems;
use crate::fault::Fault;

/// A page on one type of problem.
#[utoipa::path(get, path = "/problems/{slug}", tag = "portal",
    params(("slug" = String, Path, description = "The last part of the type")),
    responses((status = 200, content_type = "text/html", description = "The page"), Problems))]
pub(super) async fn problem_page(Path(slug): Path<String>) -> Result<Html<String>, Fault> {
    let kind = ProblemType::ALL.iter().find(|kind| kind.slug() == slug);
    let kind = kind.ok_or_else(Fault::not_found)?;
    // All of it is ours: nothing to escape.
    Ok(Html(format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>{title}</title>\
         <meta name=\"viewport\" content=\"width=device-width\"><h1>{title}</h1>\
         <p>Problem type <code>{slug}</code>, HTTP status {status}.</p>\
         <p>The answer's <code>detail</code> says more; its <code>instance</code> names the request in the portal's \
         log.</p></html>",
        title = kind.title(),
        slug = kind.slug(),
        status = kind.status(),
    )))
}
