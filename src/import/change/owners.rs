//! Which services a changed resource belongs to: by the patterns of the topology, else by its name.

use crate::model::Topology;
use crate::model::resource_pattern::ResourcePattern;

/// Services that a resource belongs to, and how that is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    /// A pattern of each of these says so.
    Stated(Vec<String>),
    /// It is called like this service.
    ByName(String),
    /// It belongs to none, on purpose.
    Ignored,
    /// Nobody says whose it is.
    Unknown,
}

/// Patterns and names of all services, ready to be compared with resources.
pub(super) struct ResourceOwners<'a> {
    topology: &'a Topology,
    patterns: Vec<(ResourcePattern, &'a str)>,
    ignored: Vec<ResourcePattern>,
}

impl<'a> ResourceOwners<'a> {
    /// Collects the `resources` of all services, and patterns of what belongs to none.
    pub(super) fn new(topology: &'a Topology, ignored: &[String]) -> Self {
        let services = topology.services.iter();
        let patterns = services.flat_map(|service| {
            let own = service.resources.iter();
            own.map(|pattern| (ResourcePattern::new(pattern), &*service.name))
        });
        Self {
            topology,
            patterns: patterns.collect(),
            ignored: ignored.iter().map(|pattern| ResourcePattern::new(pattern)).collect(),
        }
    }

    /// Returns the owner of a resource that patterns may call by any of `names`. Where none does,
    /// `hints` are names that may be those of a service, the best first.
    pub(super) fn owner_of(&self, names: &[&str], hints: &[&str]) -> Owner {
        let matches =
            |pattern: &ResourcePattern| names.iter().any(|name| pattern.matches_name(name));
        // Every service counts that matches: what is shared breaks all of them.
        let mut stated: Vec<String> = self
            .patterns
            .iter()
            .filter(|(pattern, _)| matches(pattern))
            .map(|(_, service)| (*service).to_owned())
            .collect();
        stated.dedup();
        if !stated.is_empty() {
            return Owner::Stated(stated);
        }
        if self.ignored.iter().any(matches) {
            return Owner::Ignored;
        }
        let named = hints.iter().find_map(|hint| self.service_called(hint));
        named.map_or(Owner::Unknown, |service| Owner::ByName(service.to_owned()))
    }

    /// Returns the service with a name, where `_` of identifiers stands for `-`.
    fn service_called(&self, name: &str) -> Option<&'a str> {
        let find = |name: &str| {
            let services = &self.topology.services;
            let at = services.binary_search_by(|service| (*service.name).cmp(name)).ok()?;
            Some(&*services[at].name)
        };
        find(name).or_else(|| find(&name.replace('_', "-")))
    }
}
