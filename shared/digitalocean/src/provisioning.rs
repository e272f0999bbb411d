//! Changes to droplets, snapshots and tags. Each is sent once; see [`Error::may_have_taken_effect`].

use reqwest::Method;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use crate::{
    client::Client,
    error::Error,
    request::Request,
    rows::{Action, CreatedDroplet, Droplet, Snapshot, Tag},
    tag::{TagName, TagTarget},
};

/// A droplet to be made: one, as several under one request could not be told apart afterwards.
#[derive(Debug, Clone, Serialize)]
pub struct DropletOrder {
    /// A host name. Not unique, so put the saga's tag on it as well.
    pub name: String,
    /// Size slug.
    pub size: String,
    /// What it starts from.
    pub image: ImageRef,
    /// Region slug; `None` leaves the choice to the provider.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Network; `None` is the region's default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vpc_uuid: Option<String>,
    /// Ids of keys that may log in.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ssh_keys: Vec<i64>,
    /// Made if they are new.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<TagName>,
    /// First-boot script, which may hold secrets.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "exposed")]
    pub user_data: Option<SecretString>,
    /// Whether the provider makes backups, at a fifth of the price or more.
    pub backups: bool,
    /// Whether it has IPv6.
    pub ipv6: bool,
    /// Whether the monitoring agent is installed.
    pub monitoring: bool,
}

impl DropletOrder {
    /// The least an order needs.
    pub fn new(name: impl Into<String>, size: impl Into<String>, image: ImageRef) -> Self {
        Self {
            name: name.into(),
            size: size.into(),
            image,
            region: None,
            vpc_uuid: None,
            ssh_keys: Vec::new(),
            tags: Vec::new(),
            user_data: None,
            backups: false,
            ipv6: false,
            monitoring: false,
        }
    }
}

fn exposed<S: serde::Serializer>(secret: &Option<SecretString>, serializer: S) -> Result<S::Ok, S::Error> {
    secret.as_ref().map(ExposeSecret::expose_secret).serialize(serializer)
}

/// An image by either of its names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum ImageRef {
    /// A snapshot, backup or custom image.
    Id(i64),
    /// A public image.
    Slug(String),
}

/// What a resize changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resize {
    /// Memory and processors: can be undone.
    Reversible,
    /// The disk too, which never shrinks again.
    WithDisk,
}

#[derive(Deserialize)]
struct DropletAnswer {
    droplet: Droplet,
}

#[derive(Deserialize)]
struct ActionAnswer {
    action: Action,
}

/// As little of the answer as possible: whatever else is odd about it, the id must not be lost.
#[derive(Deserialize)]
struct CreatedAnswer {
    droplet: IdOnly,
    links: Option<CreatedLinks>,
}

#[derive(Deserialize)]
struct IdOnly {
    id: i64,
}

#[derive(Deserialize)]
struct CreatedLinks {
    actions: Option<Vec<IdOnly>>,
}

impl Client {
    /// Asks for a droplet. Accepted is not done: poll the action and the droplet. It lands in the default
    /// project.
    pub async fn create_droplet(&self, order: &DropletOrder) -> Result<CreatedDroplet, Error> {
        let request = Request::new("droplets.create", Method::POST, ["droplets"]).json(order);
        let answer: CreatedAnswer = self.ask(&request).await?;
        let action_id =
            answer.links.and_then(|links| links.actions).and_then(|actions| actions.first().map(|a| a.id));
        Ok(CreatedDroplet { id: answer.droplet.id, action_id })
    }

    /// One droplet. Right after its creation [`Error::NotFound`] can pass.
    pub async fn droplet(&self, id: i64) -> Result<Droplet, Error> {
        let request = Request::get("droplets.get", ["droplets", &id.to_string()]);
        self.ask::<DropletAnswer>(&request).await.map(|answer| answer.droplet)
    }

    /// Asks for a droplet's end; it is gone when [`Client::droplet`] says [`Error::NotFound`]. An error of
    /// that kind here means that it was gone already.
    pub async fn delete_droplet(&self, id: i64) -> Result<(), Error> {
        let id = id.to_string();
        self.tell(&Request::new("droplets.delete", Method::DELETE, ["droplets", &id])).await
    }

    /// Takes a snapshot. The action does not tell the snapshot's id: look it up by the name given here.
    pub async fn snapshot_droplet(&self, id: i64, name: &str) -> Result<Action, Error> {
        self.act(id, "droplets.action.snapshot", &serde_json::json!({ "type": "snapshot", "name": name }))
            .await
    }

    /// Cuts the power. A droplet that is off still costs.
    pub async fn power_off_droplet(&self, id: i64) -> Result<Action, Error> {
        self.act(id, "droplets.action.power_off", &serde_json::json!({ "type": "power_off" })).await
    }

    /// Switches it on.
    pub async fn power_on_droplet(&self, id: i64) -> Result<Action, Error> {
        self.act(id, "droplets.action.power_on", &serde_json::json!({ "type": "power_on" })).await
    }

    /// Changes the size; the droplet must be off.
    pub async fn resize_droplet(&self, id: i64, size: &str, resize: Resize) -> Result<Action, Error> {
        let disk = resize == Resize::WithDisk;
        let body = serde_json::json!({ "type": "resize", "size": size, "disk": disk });
        self.act(id, "droplets.action.resize", &body).await
    }

    /// Changes the name.
    pub async fn rename_droplet(&self, id: i64, name: &str) -> Result<Action, Error> {
        self.act(id, "droplets.action.rename", &serde_json::json!({ "type": "rename", "name": name })).await
    }

    async fn act(&self, id: i64, operation: &'static str, body: &serde_json::Value) -> Result<Action, Error> {
        let request =
            Request::new(operation, Method::POST, ["droplets", &id.to_string(), "actions"]).json(body);
        self.ask::<ActionAnswer>(&request).await.map(|answer| answer.action)
    }

    /// One action. Right after its start [`Error::NotFound`] can pass.
    pub async fn action(&self, id: i64) -> Result<Action, Error> {
        let request = Request::get("actions.get", ["actions", &id.to_string()]);
        self.ask::<ActionAnswer>(&request).await.map(|answer| answer.action)
    }

    /// One snapshot.
    pub async fn snapshot(&self, id: &str) -> Result<Snapshot, Error> {
        #[derive(Deserialize)]
        struct Answer {
            snapshot: Snapshot,
        }
        let request = Request::get("snapshots.get", ["snapshots", id]);
        self.ask::<Answer>(&request).await.map(|answer| answer.snapshot)
    }

    /// Deletes a snapshot; [`Error::NotFound`] means that it was gone already.
    pub async fn delete_snapshot(&self, id: &str) -> Result<(), Error> {
        self.tell(&Request::new("snapshots.delete", Method::DELETE, ["snapshots", id])).await
    }

    /// Makes a tag.
    pub async fn create_tag(&self, name: &TagName) -> Result<Tag, Error> {
        #[derive(Deserialize)]
        struct Answer {
            tag: Tag,
        }
        let request =
            Request::new("tags.create", Method::POST, ["tags"]).json(&serde_json::json!({ "name": name }));
        self.ask::<Answer>(&request).await.map(|answer| answer.tag)
    }

    /// Puts a tag on resources. The tag must exist; whether the resources do is not checked by the provider.
    pub async fn tag_resources(&self, tag: &TagName, targets: &[TagTarget]) -> Result<(), Error> {
        self.tell(&tagging("tags.assign", Method::POST, tag, targets)).await
    }

    /// Takes a tag off resources.
    pub async fn untag_resources(&self, tag: &TagName, targets: &[TagTarget]) -> Result<(), Error> {
        self.tell(&tagging("tags.remove", Method::DELETE, tag, targets)).await
    }
}

fn tagging(operation: &'static str, method: Method, tag: &TagName, targets: &[TagTarget]) -> Request {
    let body = serde_json::json!({ "resources": targets });
    Request::new(operation, method, ["tags", tag.as_str(), "resources"]).json(&body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{decode, error::Call, settings::Purpose};

    #[test]
    fn an_order_says_only_what_was_chosen_and_hides_its_script() {
        let mut order = DropletOrder::new("web-1", "s-1vcpu-1gb", ImageRef::Slug("debian-13-x64".into()));
        order.tags.push(TagName::parse("arcadia-saga-0b1c").unwrap());
        order.user_data = Some("#!/bin/sh\necho hunter2".into());
        assert!(!format!("{order:?}").contains("hunter2"));
        assert_eq!(
            serde_json::to_value(&order).unwrap(),
            serde_json::json!({
                "name": "web-1", "size": "s-1vcpu-1gb", "image": "debian-13-x64", "tags": ["arcadia-saga-0b1c"],
                "user_data": "#!/bin/sh\necho hunter2", "backups": false, "ipv6": false, "monitoring": false,
            })
        );
    }

    #[test]
    fn the_id_of_a_new_droplet_survives_an_odd_answer() {
        let call = Call { operation: "droplets.create", purpose: Purpose::Provisioning };
        let body = br#"{"droplet":{"id":5,"region":null},"links":{"actions":[{"id":9,"rel":"create","href":"/v2/actions/9"}]}}"#;
        let answer: CreatedAnswer = decode::json(call, body).unwrap();
        assert_eq!(answer.droplet.id, 5);
        assert_eq!(answer.links.unwrap().actions.unwrap()[0].id, 9);
    }
}
