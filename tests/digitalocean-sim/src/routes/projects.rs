//! Projects and what is in them.

use serde_json::{Value, json};

use crate::answer::{Answer, Refusal};
use crate::call::Call;
use crate::clock::stamp;
use crate::kind::Kind;
use crate::membership::parse_urn;
use crate::paging::{Window, page, page_of_table};
use crate::render;
use crate::state::{Account, into_fields};
use crate::table::Fields;

/// Purposes that are stored as they are; any other becomes `Other: …`.
const PURPOSES: [&str; 9] = [
    "Just trying out DigitalOcean",
    "Class project / Educational purposes",
    "Website or blog",
    "Web Application",
    "Service or API",
    "Mobile Application",
    "Machine learning / AI / Data processing",
    "IoT",
    "Operational / Developer tooling",
];

const ENVIRONMENTS: [&str; 3] = ["Development", "Staging", "Production"];

const URN_SHAPE: &str =
    "resource objects must have an urn in the following format: do:resource_type:resource_id";

pub fn list(account: &mut Account, call: &Call<'_>) -> Result<Answer, Refusal> {
    Ok(page_of_table(account, call, "projects", Kind::Projects))
}

pub fn get(account: &mut Account, call: &Call<'_>) -> Result<Answer, Refusal> {
    answer(account, call.param(0), 200)
}

pub fn get_default(account: &mut Account, _call: &Call<'_>) -> Result<Answer, Refusal> {
    let id = account.default_project().ok_or_else(Refusal::not_found)?;
    answer(account, &id, 200)
}

pub fn create(account: &mut Account, call: &Call<'_>) -> Result<Answer, Refusal> {
    let mut fields = Fields::new();
    for name in ["name", "purpose"] {
        call.need_text(name)?;
    }
    accept(account, call, &mut fields, None)?;
    let id = account.ids.uuid().to_string();
    let owner_uuid = account.ids.hex40();
    let mut project = into_fields(json!({
        "id": id, "owner_uuid": owner_uuid, "owner_id": 258_992, "description": "", "environment": "",
        "is_default": false, "created_at": stamp(call.now), "updated_at": stamp(call.now),
    }));
    project.extend(fields);
    account.add(Kind::Projects, project);
    answer(account, &id, 201)
}

pub fn update(account: &mut Account, call: &Call<'_>) -> Result<Answer, Refusal> {
    for name in ["name", "description", "purpose", "environment", "is_default"] {
        if call.body.get(name).is_none_or(Value::is_null) {
            return Err(Refusal::unprocessable(format!("{name} is required")));
        }
    }
    patch(account, call)
}

pub fn patch(account: &mut Account, call: &Call<'_>) -> Result<Answer, Refusal> {
    let id = match call.param(0) {
        "default" => account.default_project().ok_or_else(Refusal::not_found)?,
        id => id.to_owned(),
    };
    if !account.table(Kind::Projects).contains(&id) {
        return Err(Refusal::not_found());
    }
    let mut changes = Fields::new();
    accept(account, call, &mut changes, Some(&id))?;
    if call.flag("is_default") {
        if let Some(old) = account.default_project() {
            account.table_mut(Kind::Projects).set(&old, "is_default", false);
        }
        changes.insert("is_default".into(), true.into());
    }
    changes.insert("updated_at".into(), stamp(call.now).into());
    account.table_mut(Kind::Projects).edit(&id, |fields| fields.extend(changes));
    answer(account, &id, 200)
}

pub fn delete(account: &mut Account, call: &Call<'_>) -> Result<Answer, Refusal> {
    let id = call.param(0);
    if !account.table(Kind::Projects).contains(id) {
        return Err(Refusal::not_found());
    }
    if account.default_project().as_deref() == Some(id) {
        return Err(Refusal::precondition_failed("cannot delete the default project"));
    }
    if account.membership.count(id) > 0 {
        let message = "cannot delete a project with resources. move or remove the resources first";
        return Err(Refusal::precondition_failed(message));
    }
    account.remove(Kind::Projects, id);
    Ok(Answer::no_content())
}

pub fn resources(account: &mut Account, call: &Call<'_>) -> Result<Answer, Refusal> {
    resources_of(account, call, call.param(0))
}

pub fn resources_default(account: &mut Account, call: &Call<'_>) -> Result<Answer, Refusal> {
    let id = account.default_project().ok_or_else(Refusal::not_found)?;
    resources_of(account, call, &id)
}

pub fn assign(account: &mut Account, call: &Call<'_>) -> Result<Answer, Refusal> {
    assign_to(account, call, call.param(0))
}

pub fn assign_default(account: &mut Account, call: &Call<'_>) -> Result<Answer, Refusal> {
    let id = account.default_project().ok_or_else(Refusal::not_found)?;
    assign_to(account, call, &id)
}

fn answer(account: &Account, id: &str, status: u16) -> Result<Answer, Refusal> {
    let row = account.table(Kind::Projects).get(id).ok_or_else(Refusal::not_found)?;
    Ok(Answer::json(status, &json!({"project": render::row(Kind::Projects, row.fields())})))
}

/// Takes name, description, purpose and environment from the body, as far as they are there.
fn accept(
    account: &Account,
    call: &Call<'_>,
    fields: &mut Fields,
    except: Option<&str>,
) -> Result<(), Refusal> {
    for (name, length_max) in [("name", 175), ("description", 255), ("purpose", 255)] {
        if let Some(text) = call.text(name) {
            if text.chars().count() > length_max {
                return Err(Refusal::unprocessable(format!("{name} is too long")));
            }
            fields.insert(name.into(), text.into());
        }
    }
    if let Some(purpose) = call.text("purpose")
        && !PURPOSES.contains(&purpose)
        && !purpose.starts_with("Other: ")
    {
        fields.insert("purpose".into(), format!("Other: {purpose}").into());
    }
    if let Some(environment) = call.text("environment") {
        if !environment.is_empty() && !ENVIRONMENTS.contains(&environment) {
            return Err(Refusal::unprocessable("environment must be Development, Staging or Production"));
        }
        fields.insert("environment".into(), environment.into());
    }
    let taken = |name: &str| {
        account
            .table(Kind::Projects)
            .iter()
            .any(|(id, row)| Some(id) != except && row.text("name") == Some(name))
    };
    match call.text("name") {
        Some("") => Err(Refusal::unprocessable("name is required")),
        Some(name) if taken(name) => Err(Refusal::conflict("name is already in use")),
        Some(_) | None => Ok(()),
    }
}

fn resources_of(account: &Account, call: &Call<'_>, project: &str) -> Result<Answer, Refusal> {
    if !account.table(Kind::Projects).contains(project) {
        return Err(Refusal::not_found());
    }
    let members: Vec<(&String, &String)> = account.membership.of(project).into_iter().flatten().collect();
    let rows: Vec<_> = Window::of(call)
        .slice(&members)
        .iter()
        .map(|(urn, assigned_at)| resource(call, urn, Some(assigned_at), "ok").to_string().into())
        .collect();
    Ok(page(call, "resources", members.len(), &rows))
}

/// There is no unassigning: a resource moves. The answer is per item; some may not be found.
fn assign_to(account: &mut Account, call: &Call<'_>, project: &str) -> Result<Answer, Refusal> {
    if !account.table(Kind::Projects).contains(project) {
        return Err(Refusal::not_found());
    }
    let urns = call.body.get("resources").and_then(Value::as_array);
    let urns: Vec<&str> = urns.into_iter().flatten().map(|urn| urn.as_str().unwrap_or_default()).collect();
    if urns.iter().any(|urn| parse_urn(urn).is_none()) {
        return Err(Refusal::bad_request(URN_SHAPE));
    }
    // An attached address moves with its droplet only; one such item refuses the whole call.
    if urns.iter().any(|urn| moves_attached_address(account, project, urn)) {
        let message = "Cannot move a Reserved IP with an associated Droplet. Move the Droplet instead";
        return Err(Refusal::precondition_failed(message));
    }
    let mut rows = Vec::new();
    for urn in urns {
        let urn = canonical(urn);
        if !account.has_urn(&urn) {
            rows.push(resource(call, &urn, None, "not_found"));
            continue;
        }
        let moved = account.membership.assign(project, &urn, stamp(call.now));
        move_along(account, call, project, &urn);
        let assigned_at = account.membership.of(project).and_then(|members| members.get(&urn).cloned());
        let status = if moved { "assigned" } else { "already_assigned" };
        rows.push(resource(call, &urn, assigned_at.as_ref(), status));
    }
    Ok(Answer::json(200, &json!({"resources": rows})))
}

/// The projects API keeps the older word for addresses.
fn canonical(urn: &str) -> String {
    urn.replacen("do:reservedip:", "do:floatingip:", 1)
}

fn moves_attached_address(account: &Account, project: &str, urn: &str) -> bool {
    let urn = canonical(urn);
    let Some(("floatingip", ip)) = parse_urn(&urn) else { return false };
    let attached = account.table(Kind::FloatingIps).get(ip).is_some_and(|row| row.int("droplet").is_some());
    attached && account.membership.home(&urn).is_some_and(|home| home != project)
}

/// Volumes and addresses of a droplet go where it goes.
fn move_along(account: &mut Account, call: &Call<'_>, project: &str, urn: &str) {
    let Some(("droplet", id)) = parse_urn(urn) else { return };
    let number = id.parse::<i64>().ok();
    let droplet = account.table(Kind::Droplets).get(id);
    let mut along: Vec<String> = droplet
        .into_iter()
        .flat_map(|row| row.texts("volume_ids"))
        .map(|id| format!("do:volume:{id}"))
        .collect();
    let addresses = account.table(Kind::FloatingIps).iter();
    along.extend(
        addresses
            .filter(|(_, row)| number.is_some() && row.int("droplet") == number)
            .map(|(ip, _)| format!("do:floatingip:{ip}")),
    );
    for urn in along {
        if account.has_urn(&urn) {
            account.membership.assign(project, &urn, stamp(call.now));
        }
    }
}

fn resource(call: &Call<'_>, urn: &str, assigned_at: Option<&String>, status: &str) -> Value {
    let (word, id) = parse_urn(urn).unwrap_or_default();
    let link = match word {
        "space" => format!("https://nyc3.digitaloceanspaces.com/{id}"),
        "floatingip" => format!("{}/v2/floating_ips/{id}", call.base),
        "loadbalancer" => format!("{}/v2/load_balancers/{id}", call.base),
        "dbaas" => format!("{}/v2/databases/{id}", call.base),
        "kubernetes" => format!("{}/v2/kubernetes/clusters/{id}", call.base),
        word => format!("{}/v2/{word}s/{id}", call.base),
    };
    let mut row = json!({"urn": urn, "links": {"self": link}, "status": status});
    if let Some(assigned_at) = assigned_at {
        row["assigned_at"] = json!(assigned_at);
    }
    row
}
