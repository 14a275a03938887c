//! From addresses to dependencies: one way for variables, arguments, mounted files and gateways.

use std::collections::{BTreeMap, BTreeSet};

use super::addresses::{
    self, Address, Purpose, Whereabouts, host_whereabouts, is_of_telemetry, listed_hosts,
};
use super::{EvidenceGraph, LeftOutReason};
use crate::diagnostic::Code;
use crate::model::topology::Evidence;
use crate::sort::Gather as _;

/// Target that a source has behind the name of a host.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::import) enum Target {
    /// One service.
    Service(String),
    /// Versions behind one name, each with its share of the calls.
    Versions(Vec<(String, f64)>),
    /// Services of which one is enough, and the name that they share.
    AnyOf(String, Vec<String>),
    /// Something that runs elsewhere, by the name that the source gives it.
    External(String),
    /// Nothing that is known.
    Unknown,
}

/// An address, and how it is known that a service depends on it.
pub(in crate::import) struct Reference<'a> {
    pub(in crate::import) caller: &'a str,
    pub(in crate::import) address: &'a Address,
    pub(in crate::import) evidence: Evidence,
    pub(in crate::import) source: &'a str,
    pub(in crate::import) purpose: Purpose,
    /// Text that names the address in a message: `` `DB_HOST` ``.
    pub(in crate::import) name: &'a str,
    /// The host stands in the file as it is, and is filled in from nowhere: it may be shown.
    pub(in crate::import) is_literal: bool,
    /// The caller serves without it.
    pub(in crate::import) is_soft: bool,
}

impl<'a> Reference<'a> {
    /// A reference by something other than a variable.
    pub(in crate::import) fn from_address(
        caller: &'a str,
        address: &'a Address,
        source: &'a str,
    ) -> Self {
        Self {
            caller,
            address,
            evidence: Evidence::Inferred,
            source,
            purpose: Purpose::Unstated,
            name: "an argument or a file",
            is_literal: false,
            is_soft: false,
        }
    }
}

impl EvidenceGraph {
    /// Makes dependencies of a reference, or keeps in mind that it was left out, and why.
    pub(in crate::import) fn add_reference(&mut self, reference: &Reference<'_>, target: Target) {
        if reference.purpose == Purpose::NotCalled {
            // Only what would have been a dependency is worth telling as left out.
            if target != Target::Unknown {
                self.leave_out(LeftOutReason::NotCalled, reference);
            }
            return;
        }
        match target {
            Target::Service(callee) => {
                self.refer_to(reference, &callee, |_| {});
            }
            Target::Versions(versions) => {
                let total: f64 = versions.iter().map(|(_, share)| share).sum();
                let is_split = versions.len() > 1;
                // A version without a share gets no calls.
                for (callee, share) in versions.iter().filter(|(_, share)| *share > 0.0) {
                    self.refer_to(reference, callee, |dependency| {
                        if is_split {
                            dependency.call_probability = Some(share / total);
                        }
                    });
                }
            }
            Target::AnyOf(name, members) => {
                // A service behind a shared name does not fall back on itself.
                for callee in members.iter().filter(|callee| *callee != reference.caller) {
                    self.refer_to(reference, callee, |dependency| {
                        dependency.any_of = Some(name.clone());
                    });
                }
            }
            Target::External(name) => self.refer_outside(reference, &name),
            Target::Unknown => self.refer_to_unknown(reference),
        }
    }

    fn refer_to(
        &mut self,
        reference: &Reference<'_>,
        callee: &str,
        detail: impl FnOnce(&mut super::ImportedDependency),
    ) {
        let Reference { caller, evidence, source, .. } = *reference;
        if reference.purpose == Purpose::Start {
            self.depend_to_start(caller, callee, source);
            return;
        }
        let pair = (self.service_name(caller), self.service_name(callee));
        // What is known already to be called by everybody keeps being so.
        let is_new = self.dependencies.get(&pair).is_none_or(|known| known.is_start);
        let Some(dependency) = self.depend_on(caller, callee, evidence, source) else { return };
        // A detail of one reference must not weaken what another one says of all calls.
        if is_new {
            detail(dependency);
            dependency.is_soft |= reference.is_soft;
        } else {
            dependency.is_soft &= reference.is_soft;
        }
        if reference.address.is_broker {
            if dependency.is_async.is_none() {
                dependency.note_call(true);
            }
            // Others may name it without a scheme.
            self.service_or_new(callee).kind.get_or_insert_with(|| "queue".to_owned());
        }
    }

    fn refer_outside(&mut self, reference: &Reference<'_>, name: &str) {
        let service = self.service_or_new(name);
        service.kind.get_or_insert_with(|| "external".to_owned());
        let is_soft = reference.is_soft || super::kinds::is_outside_telemetry(name);
        self.refer_to(&Reference { is_soft, ..*reference }, name, |_| {});
    }

    /// A host that the source does not have: outside, on the own machine, or nowhere.
    fn refer_to_unknown(&mut self, reference: &Reference<'_>) {
        let host = &reference.address.host;
        let is_certain = reference.address.is_certain;
        match host_whereabouts(host) {
            Whereabouts::OwnMachine => self.leave_out(LeftOutReason::OwnMachine, reference),
            Whereabouts::Schema => self.leave_out(LeftOutReason::Schema, reference),
            Whereabouts::Outside if reference.purpose == Purpose::Own => {
                self.leave_out(LeftOutReason::OwnAddress, reference);
            }
            Whereabouts::Outside => {
                let name = host.to_ascii_lowercase();
                self.refer_outside(reference, &name);
            }
            // A bare word may be anything; only where its form or key tells is an unknown one worth
            // a warning.
            Whereabouts::Local if is_certain => {
                let named = if reference.is_literal && is_plain(host) {
                    format!("`{host}`, which is")
                } else {
                    // A host that was filled in from elsewhere may be a secret, and is not shown.
                    "a host that is".to_owned()
                };
                let message = format!(
                    "{} of `{}` names {named} not among the services ({})",
                    reference.name, reference.caller, reference.source
                );
                self.warn_of_file(Code::Dangling, message);
            }
            Whereabouts::Local | Whereabouts::NoHost => {}
        }
    }

    /// Whether a service is known to start after another.
    fn starts_after(&self, caller: &str, target: &Target) -> bool {
        let Target::Service(callee) = target else { return false };
        let pair = (caller.to_owned(), callee.clone());
        self.dependencies.get(&pair).is_some_and(|dependency| dependency.is_start)
    }

    fn leave_out(&mut self, reason: LeftOutReason, reference: &Reference<'_>) {
        let names = self.left_out.entry(reason).or_default();
        names.insert(format!("{} of {}", reference.name.replace('`', ""), reference.caller));
    }
}

/// Whether a host looks like nothing but the name of a service: what else was taken for a host may be
/// a secret.
fn is_plain(host: &str) -> bool {
    host.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-' || byte == b'_')
        || host.trim_end_matches(|c: char| c.is_ascii_digit()).ends_with('-')
}

/// A variable of a service. The value is searched for hosts and goes nowhere else.
#[derive(Default)]
pub(in crate::import) struct Variable {
    pub(in crate::import) caller: String,
    pub(in crate::import) key: String,
    pub(in crate::import) value: String,
    pub(in crate::import) source: String,
    /// The value stands in the file as it is: nothing in it was filled in from elsewhere.
    pub(in crate::import) is_literal: bool,
    /// The value comes from an example of a file that is not there.
    pub(in crate::import) is_example: bool,
}

/// Below so many services a variable is called common only where a service holds its own address.
const COMMON_MIN: usize = 5;

/// A block that fewer services share says something of each.
const HOLDERS_MIN: usize = 3;

/// Makes dependencies of the addresses in variables.
///
/// A variable that most services have in common, with the same value, says little of each: its
/// dependencies are only assumed. So it is where even the service that is named holds it.
pub(in crate::import) fn connect_variables(
    variables: &[Variable],
    services: usize,
    lookup: impl Fn(&str, &str) -> Target,
    graph: &mut EvidenceGraph,
) {
    let mut holders: BTreeMap<(&str, &str), BTreeSet<&str>> = BTreeMap::new();
    let keys: BTreeSet<(&str, &str)> =
        variables.iter().map(|variable| (&*variable.caller, &*variable.key)).into_set();
    for variable in variables {
        let holders = holders.entry((&variable.key, &variable.value)).or_default();
        holders.insert(&variable.caller);
    }
    for variable in variables {
        let key = variable.key.as_str();
        // What is only asked for its health is no dependency, unless the service has its address too:
        // `IdentityUrlHC` beside `IdentityUrl` tells which service that address leads to.
        let base =
            key.strip_suffix("HC").filter(|base| keys.contains(&(variable.caller.as_str(), *base)));
        let found = addresses::in_variable(base.unwrap_or(key), &variable.value);
        let listed = listed_addresses(variable, found.purpose, &lookup);
        let is_list = listed.is_some();
        let addresses = listed.unwrap_or(found.addresses);
        let holders = &holders[&(key, variable.value.as_str())];
        // In a small system most services may well call the same one.
        let is_of_most = services >= COMMON_MIN && 2 * holders.len() > services;
        let name = format!("`{key}`");
        for address in &addresses {
            let target = lookup(&variable.caller, &address.host);
            let holds_its_own = match &target {
                Target::Service(callee) => holders.contains(callee.as_str()),
                Target::Versions(all) => all.iter().any(|(callee, _)| holders.contains(&**callee)),
                _ => false,
            };
            // A block copied to all services holds also the address of the service itself.
            let is_common = is_of_most || holds_its_own && holders.len() >= HOLDERS_MIN;
            // Start order beside it is of this service alone, and confirms that it uses what all know.
            let is_confirmed = is_common && graph.starts_after(&variable.caller, &target);
            let is_assumed = (is_common && !is_confirmed) || variable.is_example;
            let is_counted = is_common && !is_confirmed && target != Target::Unknown;
            graph.common_variables += u64::from(is_counted);
            let reference = Reference {
                caller: &variable.caller,
                address,
                evidence: if is_assumed { Evidence::Assumed } else { Evidence::Inferred },
                source: &variable.source,
                purpose: found.purpose,
                name: &name,
                // Credentials may be taken for hosts where a value has a form that nobody knows.
                is_literal: variable.is_literal
                    && (variable.value.contains("://")
                        || !variable.value.contains(['@', '?', '=', ';'])),
                // What everybody is told breaks nobody for sure.
                is_soft: is_of_telemetry(key) || (is_common && !is_confirmed),
            };
            let is_local = || host_whereabouts(&address.host) == Whereabouts::Local;
            // A list of hosts with ports often names clusters outside, which are no mistake.
            if is_list && target == Target::Unknown && is_local() {
                graph.leave_out(LeftOutReason::UnknownHost, &reference);
            } else {
                graph.add_reference(&reference, target);
            }
        }
    }
}

/// The hosts of a list below a key that says nothing: each is a service, or has a port. A list with any
/// other word is one of something else.
fn listed_addresses(
    variable: &Variable,
    purpose: Purpose,
    lookup: impl Fn(&str, &str) -> Target,
) -> Option<Vec<Address>> {
    if purpose != Purpose::Unstated {
        return None;
    }
    let listed = listed_hosts(&variable.key, &variable.value);
    let is_known = |host: &str| lookup(&variable.caller, host) != Target::Unknown;
    let is_of_hosts =
        // A word without a port could be anything, unless it is a service.
        !listed.is_empty() && listed.iter().all(|item| item.has_port || is_known(&item.host));
    is_of_hosts.then(|| listed.into_iter().map(|item| Address::of_host(item.host)).collect())
}
