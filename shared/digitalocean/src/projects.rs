//! Changes to projects and to what belongs to them.

use reqwest::Method;
use serde::{Deserialize, Serialize};

use crate::{
    client::Client,
    error::Error,
    request::Request,
    rows::{Assignment, Project},
    urn::Urn,
};

/// A project to be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NewProject {
    /// Unique in the account.
    pub name: String,
    /// What it is for. One outside the provider's list comes back as `Other: <text>`.
    pub purpose: String,
    /// Free text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// `Development`, `Staging` or `Production`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
}

/// What to change about a project; `None` leaves it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct ProjectPatch {
    /// Unique in the account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub purpose: Option<String>,
    /// Free text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// `Development`, `Staging` or `Production`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
}

#[derive(Deserialize)]
struct ProjectAnswer {
    project: Project,
}

impl Client {
    /// One project; `default` is an id too.
    pub async fn project(&self, id: &str) -> Result<Project, Error> {
        self.ask::<ProjectAnswer>(&Request::get("projects.get", ["projects", id]))
            .await
            .map(|answer| answer.project)
    }

    /// Makes a project. A name that is taken is refused.
    pub async fn create_project(&self, project: &NewProject) -> Result<Project, Error> {
        let request = Request::new("projects.create", Method::POST, ["projects"]).json(project);
        self.ask::<ProjectAnswer>(&request).await.map(|answer| answer.project)
    }

    /// Changes a project.
    pub async fn patch_project(&self, id: &str, patch: &ProjectPatch) -> Result<Project, Error> {
        let request = Request::new("projects.patch", Method::PATCH, ["projects", id]).json(patch);
        self.ask::<ProjectAnswer>(&request).await.map(|answer| answer.project)
    }

    /// Deletes a project, which must be empty ([`Error::Refused`] with 412 until it is).
    pub async fn delete_project(&self, id: &str) -> Result<(), Error> {
        self.tell(&Request::new("projects.delete", Method::DELETE, ["projects", id])).await
    }

    /// Moves resources into a project. The answer is per resource: look at each
    /// [`Assignment::took_effect`].
    pub async fn assign_resources(&self, project_id: &str, urns: &[Urn]) -> Result<Vec<Assignment>, Error> {
        #[derive(Deserialize)]
        struct Answer {
            resources: Vec<Assignment>,
        }
        let urns: Vec<String> = urns.iter().map(Urn::for_sending).collect();
        let request = Request::new("projects.assign", Method::POST, ["projects", project_id, "resources"]);
        let request = request.json(&serde_json::json!({ "resources": urns }));
        self.ask::<Answer>(&request).await.map(|answer| answer.resources)
    }
}
