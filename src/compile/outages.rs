//! Outages that come and go in time, for everything whose availability is declared.

use super::key::Key;
use super::plan::{DomainId, OutageOf, OutageProcess, ReplicaId, ServiceId};
use super::scenario::compile_delay;
use crate::model::change::Delay;
use crate::model::outages::outage_rate;
use crate::model::{Share, Topology, defaults};

/// Returns the outages of failure domains, services and replicas, in the order of the topology.
pub(super) fn outage_processes(topology: &Topology) -> Vec<OutageProcess> {
    let mut all = Vec::new();
    let mut add = |of, name: &str, availability: Option<Share>, mttr: Option<Delay>| {
        let repair = defaults::time_to_repair(mttr);
        let rate = outage_rate(availability.unwrap_or(Share::ONE), repair);
        // What is always up has no outages to draw.
        if rate > 0.0 {
            // Outages of one thing have numbers, which are put behind this name.
            let numbered = |what| Key::new(what, &format!("{name}#"));
            all.push(OutageProcess {
                of,
                rate,
                length: compile_delay(repair),
                left_key: Key::new("outage-left", name),
                gap_keys: numbered("outage-gap"),
                length_keys: numbered("outage-length"),
            });
        }
    };
    for (domain, item) in topology.domains.iter().enumerate() {
        add(OutageOf::Domain(DomainId::new(domain)), &item.name, item.availability, item.mttr);
    }
    let mut replicas_before = 0;
    for (service, item) in topology.services.iter().enumerate() {
        let service = ServiceId::new(service);
        add(OutageOf::Service(service), &item.name, item.availability, item.mttr);
        let Some(replicas) = &item.replicas else { continue };
        for number in 0..replicas.count {
            // Without an availability of their own, replicas have no outages of their own.
            if replicas.availability.is_some() {
                let replica = ReplicaId::new(replicas_before + number as usize);
                let of = OutageOf::Replica { replica, service };
                let name = format!("{}#{number}", item.name);
                add(of, &name, replicas.availability, replicas.mttr);
            }
        }
        // Counted even without outages: ids are places among all replicas.
        replicas_before += replicas.count as usize;
    }
    all
}
