//! Which project each resource is in. A resource is in at most one.

use std::collections::HashMap;

use indexmap::IndexMap;

/// URNs by project, in order of assignment, and back.
#[derive(Debug, Clone, Default)]
pub struct Membership {
    members: HashMap<String, IndexMap<String, String>>,
    homes: HashMap<String, String>,
}

impl Membership {
    /// Moves a resource into a project. `false` when it was there already.
    pub fn assign(&mut self, project: &str, urn: &str, assigned_at: String) -> bool {
        if self.homes.get(urn).is_some_and(|home| home == project) {
            return false;
        }
        self.forget(urn);
        self.homes.insert(urn.to_owned(), project.to_owned());
        self.members.entry(project.to_owned()).or_default().insert(urn.to_owned(), assigned_at);
        true
    }

    /// Takes a resource out of whatever project it is in.
    pub fn forget(&mut self, urn: &str) {
        if let Some(members) = self.homes.remove(urn).and_then(|home| self.members.get_mut(&home)) {
            members.shift_remove(urn);
        }
    }

    /// The project a resource is in.
    pub fn home(&self, urn: &str) -> Option<&str> {
        self.homes.get(urn).map(String::as_str)
    }

    /// URNs and times of assignment of one project.
    pub fn of(&self, project: &str) -> Option<&IndexMap<String, String>> {
        self.members.get(project)
    }

    /// How many resources a project has.
    pub fn count(&self, project: &str) -> usize {
        self.of(project).map_or(0, IndexMap::len)
    }
}

/// The two parts of `do:<word>:<id>`; the id may hold colons.
pub fn parse_urn(urn: &str) -> Option<(&str, &str)> {
    let (word, id) = urn.strip_prefix("do:")?.split_once(':')?;
    (!word.is_empty() && !id.is_empty()).then_some((word, id))
}
