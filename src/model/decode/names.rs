//! Names: what they may look like, and what they refer to.

use super::name_index::NameIndex;
use super::read::{Field, Problems, in_backticks, yaml_word};
use crate::diagnostic::{Code, Diagnostic, Place};
use crate::load::Key;
use crate::model::change::{Component, TargetRef};
use crate::model::topology::{DomainId, NodeRef, ServiceId, Topology};

/// Longer names would not fit into any picture.
const NAME_MAX: usize = 200;

/// Characters that separate names elsewhere, and where.
const SEPARATORS: &[(char, &str)] = &[
    ('/', "it separates a service from its endpoint"),
    (':', "it separates a target from its failure mode"),
    ('>', "it separates a caller from its dependency"),
    ('|', "it separates the members of an `any_of`"),
];

/// Whether a name may be used; reports when not.
pub(crate) fn check_name(key: &Key, what: &str, problems: &Problems) -> bool {
    let name = &*key.text;
    let wrong = |message: String, help: &str| {
        problems.push(Diagnostic::error(Code::BadName, message, key.place).help(help));
        false
    };
    if name.is_empty() {
        return wrong(format!("the name of a {what} is empty"), "write a word");
    }
    if name.trim() != name {
        return wrong(
            format!("the name {name:?} of a {what} starts or ends with space"),
            "remove the space",
        );
    }
    if let Some(c) = name.chars().find(|c| is_invisible(*c)) {
        return wrong(
            format!("the name of a {what} holds the invisible character U+{:04X}", u32::from(c)),
            "remove it",
        );
    }
    if let Some((c, why)) = SEPARATORS.iter().find(|(c, _)| name.contains(*c)) {
        return wrong(
            format!("the name `{name}` of a {what} holds `{c}`"),
            &format!("{why}: write `-` instead"),
        );
    }
    // Bytes are counted, since other tools limit names by bytes.
    if name.len() > NAME_MAX {
        return wrong(
            format!("the name of a {what} is {} bytes long", name.len()),
            &format!("names have at most {NAME_MAX} bytes; put more into `title`"),
        );
    }
    true
}

/// Characters that do not show, or that change how others show.
fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c,
            // Soft hyphens, joiners, marks of direction, fillers, selectors, tags.
            '\u{00AD}' | '\u{034F}' | '\u{061C}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}'
            | '\u{180B}'..='\u{180F}' | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}'
            | '\u{2060}'..='\u{206F}' | '\u{3164}' | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}' | '\u{FFA0}'
            | '\u{FFF9}'..='\u{FFFB}' | '\u{1D173}'..='\u{1D17A}' | '\u{E0000}'..='\u{E0FFF}')
        // Other blanks than the one that everybody sees.
        || (c.is_whitespace() && c != ' ')
}

/// The names of everything that can be referred to, sorted, with the numbers they will have.
#[derive(Debug, Default)]
pub(crate) struct Names<'a> {
    pub(crate) services: Vec<ServiceName<'a>>,
    pub(crate) domains: Vec<&'a str>,
    index: NameIndex,
    /// Whether the names were read together with what refers to them, so that places of both can be shown.
    has_places: bool,
}

/// A service and its endpoints.
#[derive(Debug)]
pub(crate) struct ServiceName<'a> {
    pub(crate) name: &'a str,
    pub(crate) place: Place,
    /// Sorted.
    pub(crate) endpoints: Vec<&'a str>,
}

impl<'a> Names<'a> {
    /// Returns names ready to be referred to; both lists are sorted.
    pub(crate) fn new(services: Vec<ServiceName<'a>>, domains: Vec<&'a str>) -> Self {
        let index = NameIndex::new(services.iter().map(|service| service.name));
        Self { services, domains, index, has_places: true }
    }

    /// The names of a checked topology.
    pub(crate) fn of_topology(topology: &'a Topology) -> Self {
        let services = topology.services.iter().map(|service| ServiceName {
            name: &service.name,
            place: service.place,
            endpoints: service.endpoints.iter().map(|endpoint| &*endpoint.name).collect(),
        });
        let domains = topology.domains.iter().map(|domain| &*domain.name);
        // What refers to them may be of another collection of files, whose numbers mean others.
        Self { has_places: false, ..Self::new(services.collect(), domains.collect()) }
    }

    pub(crate) fn service_id(&self, name: &str) -> Option<ServiceId> {
        let name_at = |at: usize| self.services[at].name;
        self.index.find_name(name, self.services.len(), name_at).map(ServiceId)
    }

    pub(crate) fn domain_id(&self, name: &str) -> Option<DomainId> {
        let index = self.domains.binary_search(&name).ok()?;
        Some(DomainId(index as u32))
    }

    fn service_names(&self) -> impl Iterator<Item = &str> {
        self.services.iter().map(|service| service.name)
    }

    /// The service or endpoint that a reference means; reports when there is none.
    pub(crate) fn resolve_node(&self, field: &Field<'_>) -> Option<NodeRef> {
        let text = field.str()?;
        let (service_name, endpoint_name) = match text.split_once('/') {
            Some((service, endpoint)) => (service, Some(endpoint)),
            None => (text, None),
        };
        let Some(service) = self.service_id(service_name) else {
            self.unknown_service(field, service_name, endpoint_name);
            return None;
        };
        let Some(name) = endpoint_name else { return Some(NodeRef { service, endpoint: None }) };
        let known = &self.services[service.0 as usize];
        let index = known.endpoints.binary_search(&name).ok();
        if index.is_none() {
            // The service is right, so its endpoints are the names to choose from.
            unknown_endpoint(field, known, name);
        }
        Some(NodeRef { service, endpoint: Some(index? as u32) })
    }

    /// The service that a reference means, where an endpoint makes no sense.
    pub(crate) fn resolve_service(&self, field: &Field<'_>) -> Option<ServiceId> {
        let node = self.resolve_node(field)?;
        if node.endpoint.is_some() {
            let service = self.services[node.service.0 as usize].name;
            field.problems().push(
                Diagnostic::error(
                    Code::Conflict,
                    format!("`{}` takes a service, not one of its endpoints", field.name),
                    field.place(),
                )
                .help(format!("write `{service}`"))
                .replace_with(yaml_word(service)),
            );
            return None;
        }
        Some(node.service)
    }

    fn unknown_service(&self, field: &Field<'_>, service: &str, endpoint: Option<&str>) {
        let problem = Diagnostic::error(
            Code::UnknownService,
            format!("there is no service `{service}`"),
            field.place(),
        );
        // A name that exists as the other kind is no misspelling.
        if self.domain_id(service).is_some() {
            field.problems().push(
                problem
                    .label("this is a failure domain")
                    .help("a service fails with its failure domain when its `domains` name it"),
            );
            return;
        }
        let problem = problem.label("no service of this name");
        let mut problem =
            field.problems().suggest_nearest(problem, service, self.service_names(), || None);
        // The suggestion is about the service; the endpoint behind it stays as written.
        if let Some(fix) = &mut problem.fix {
            let nearest = self.service_id(&fix.replacement);
            if let Some(endpoint) = endpoint {
                fix.replacement = yaml_word(&format!("{}/{endpoint}", fix.replacement));
            }
            if let Some(known) = nearest.map(|id| &self.services[id.0 as usize])
                && self.has_places
            {
                problem =
                    problem.other_place(known.place, format!("`{}` is defined here", known.name));
            }
        }
        field.problems().push(problem);
    }

    /// The failure domain that a reference means; reports when there is none.
    pub(crate) fn resolve_domain(&self, field: &Field<'_>) -> Option<DomainId> {
        let name = field.str()?;
        let domain = self.domain_id(name);
        if domain.is_none() {
            let problem = Diagnostic::error(
                Code::UnknownDomain,
                format!("there is no failure domain `{name}`"),
                field.place(),
            );
            let is_service = self.service_id(name).is_some();
            let problem = problem.label(if is_service {
                "this is a service"
            } else {
                "no failure domain of this name"
            });
            let names = self.domains.iter().copied();
            field.problems().push(field.problems().suggest_nearest(problem, name, names, || {
                Some("define it under `failure_domains`".to_owned())
            }));
        }
        domain
    }

    /// The service, endpoint or failure domain that a target means.
    pub(crate) fn resolve_target(&self, field: &Field<'_>) -> Option<TargetRef> {
        if let Some(domain) = self.domain_id(field.str()?) {
            return Some(TargetRef::Domain(domain));
        }
        self.resolve_node_or_domain(field).map(TargetRef::Node)
    }

    /// The service or failure domain that a reference means.
    pub(crate) fn resolve_component(&self, field: &Field<'_>) -> Option<Component> {
        if let Some(domain) = self.domain_id(field.str()?) {
            return Some(Component::Domain(domain));
        }
        let node = self.resolve_node_or_domain(field)?;
        if node.endpoint.is_some() {
            self.resolve_service(field)?;
        }
        Some(Component::Service(node.service))
    }

    /// Like [`Self::resolve_node`], but guesses among the failure domains too.
    fn resolve_node_or_domain(&self, field: &Field<'_>) -> Option<NodeRef> {
        let name = field.str()?;
        // With a slash only a service can be meant.
        if name.contains('/') || self.service_id(name).is_some() {
            return self.resolve_node(field);
        }
        let problem = Diagnostic::error(
            Code::UnknownService,
            format!("there is no service or failure domain `{name}`"),
            field.place(),
        );
        let names = self.service_names().chain(self.domains.iter().copied());
        field.problems().push(field.problems().suggest_nearest(problem, name, names, || None));
        None
    }
}

fn unknown_endpoint(field: &Field<'_>, service: &ServiceName<'_>, endpoint: &str) {
    let problem = Diagnostic::error(
        Code::UnknownEndpoint,
        format!("service `{}` has no endpoint `{endpoint}`", service.name),
        field.place(),
    )
    .label("no endpoint of this name");
    let names = service.endpoints.iter().copied();
    let mut problem = field.problems().suggest_nearest(problem, endpoint, names, || {
        Some(match &service.endpoints[..] {
            [] => format!("it has none; write `{}` for the service as such", service.name),
            few if few.len() <= 10 => format!("it has {}", in_backticks(few, "and")),
            many => format!("it has {} others", many.len()),
        })
    });
    if let Some(fix) = &mut problem.fix {
        fix.replacement = yaml_word(&format!("{}/{}", service.name, fix.replacement));
    }
    field.problems().push(problem);
}
