//! Rendered Kubernetes manifests: workloads joined to Services by their labels, addresses in the
//! environment, `ConfigMaps`, Secrets and arguments, routes and splits with their weights, network
//! policies, budgets, and the limits of service meshes.

mod cluster;
mod limits;
pub(in crate::import) mod objects;
mod policies;
mod routes;
mod settings;
pub(in crate::import) mod workloads;

use self::cluster::Cluster;
use self::objects::Objects;
use crate::diagnostic::Diagnostic;
use crate::import::graph::EvidenceGraph;
use crate::import::graph::pools::connect_pools;
use crate::import::graph::references::connect_variables;
use crate::import::{Format, Input, hide_values, not_of};

/// Keys of manifests whose values may be secrets.
const SECRET_KEYS: &[&str] =
    &["data", "stringData", "binaryData", "value", "args", "command", "annotations"];

/// Reads manifests.
pub(in crate::import) fn read_manifests(
    input: &mut Input<'_>,
    graph: &mut EvidenceGraph,
) -> Result<(), Vec<Diagnostic>> {
    let documents = input.read_documents(graph)?;
    hide_values(documents.iter().map(|(_, document)| document), SECRET_KEYS, input.sources);
    let objects = Objects::from_documents(&documents);
    if objects.all.is_empty() {
        let path = documents.first().map_or("", |(path, _)| path);
        return Err(not_of(Format::Kubernetes, path, "no object in it has a `kind`"));
    }
    let mut cluster = Cluster::from_objects(&objects);
    // Services need the labels of workloads, routes need Services, and addresses need all of them.
    workloads::add_workloads(&objects, &mut cluster, graph);
    cluster.index_workloads();
    cluster.read_services(&objects, graph);
    let limits = routes::read_routes(&objects, &mut cluster, graph);
    // Missing objects are collected first, so that one warning names all their users.
    let mut absent = settings::Absent::default();
    let variables = settings::collect_variables(&cluster, graph, &mut absent);
    let count = cluster.workloads.len();
    connect_variables(&variables, count, |caller, host| cluster.find_target(caller, host), graph);
    absent.warn_of_absent(&cluster, graph);
    connect_pools(&variables, graph);
    // Before the limits, which say more of dependencies that are there.
    policies::read_network_policies(&objects, &cluster, graph);
    policies::read_replicas(&objects, &cluster, graph);
    routes::apply_limits(&limits, graph);
    cluster.note_unused_entries(graph);
    Ok(())
}
