//! From variables that hold addresses to dependencies: for Compose, Kubernetes and NAIS.

use std::collections::{BTreeMap, BTreeSet};

use super::Graph;
use super::hosts;
use crate::diagnostic::Code;
use crate::model::topology::Evidence;
use crate::sort::Gather as _;

/// A variable of a service. The value is searched for hosts and goes nowhere else.
pub(in crate::import) struct Variable {
    pub(in crate::import) caller: String,
    pub(in crate::import) key: String,
    pub(in crate::import) value: String,
    pub(in crate::import) source: String,
}

/// Below so many services nothing is called common to most of them.
const COMMON_MIN: usize = 5;

/// Makes dependencies of the hosts that are services. A variable that most services have in common,
/// with the same value, says little of each: its dependencies are only assumed.
pub(in crate::import) fn connect(
    variables: &[Variable],
    services: usize,
    resolve: impl Fn(&str, &str) -> Vec<String>,
    graph: &mut Graph,
) {
    let mut holders: BTreeMap<(&str, &str), usize> = BTreeMap::new();

    let keys: BTreeSet<(&str, &str)> =
        variables.iter().map(|variable| (&*variable.caller, &*variable.key)).into_set();
    for variable in variables {
        *holders.entry((&variable.key, &variable.value)).or_default() += 1;
    }
    for variable in variables {
        // What is only asked for its health is no dependency, unless the service has its address too:
        // `IdentityUrlHC` beside `IdentityUrl` tells which service that address leads to.
        let base = variable
            .key
            .strip_suffix("HC")
            .filter(|base| keys.contains(&(variable.caller.as_str(), *base)));
        let found = hosts::in_variable(base.unwrap_or(&variable.key), &variable.value);
        let count = holders[&(variable.key.as_str(), variable.value.as_str())];
        let is_common = services >= COMMON_MIN && 2 * count > services;
        let evidence = if is_common { Evidence::Assumed } else { Evidence::Inferred };
        for host in &found.hosts {
            let callees = resolve(&variable.caller, host);
            if callees.is_empty() && found.is_address && is_local_name(host) {
                // Without the line itself: what else stands there may be a secret.
                let message = format!(
                    "`{}` of `{}` names `{host}`, which is not among the services ({})",
                    variable.key, variable.caller, variable.source
                );
                graph.warn_of_file(Code::Dangling, message);
            }
            let share = 1.0 / callees.len().max(1) as f64;
            for callee in &callees {
                let source = variable.source.clone();
                let dependency = graph.depend(&variable.caller, callee, evidence, source);
                if let Some(dependency) = dependency
                    && callees.len() > 1
                {
                    dependency.call_probability = Some(share);
                }
            }
        }
    }
}

/// Whether a name can only mean something in the same file, and is worth a warning.
fn is_local_name(host: &str) -> bool {
    !host.contains('.') && host.len() > 1 && !host.eq_ignore_ascii_case("localhost")
}
