//! Makes a topology and a change ready to be simulated.
//!
//! A checked [`Topology`] and [`Change`] come in, a [`Plan`] goes out. It cannot fail: what could go
//! wrong was refused by [`crate::model`].

mod alerts;
mod graph;
pub mod interventions;
pub mod key;
mod messages;
mod order;
mod outages;
pub mod plan;
mod scenario;
mod traffic;
pub(crate) mod waits;

pub use key::Key;
pub use plan::Plan;

use crate::model::{Change, Seconds, Topology};

/// Compiles a change to a topology. `lasting` matters for single moments: for how long the break
/// has lasted at the moment that is looked at.
///
/// # Complexity
/// Linear in services, dependencies and replicas, apart from sorting.
pub fn compile(topology: &Topology, change: &Change, lasting: Seconds) -> Plan {
    #[cfg(test)]
    seen::note(topology, change, lasting);
    let mut plan = graph::compile_topology(topology);
    scenario::add_change(&mut plan, topology, change, lasting);
    // After the scenario: operators fix what its targets break.
    interventions::add_interventions(&mut plan, topology, change);
    traffic::weigh_traffic(&mut plan);
    // After traffic: alerts count requests.
    alerts::add_alerts(&mut plan, change);
    // Last: waits depend on targets and on traffic.
    waits::add_waiting(&mut plan, topology.unknown_pools);
    messages::add(&mut plan);
    plan
}

/// Notes what is compiled, for tests that count it.
#[cfg(test)]
pub(crate) mod seen {
    use std::sync::Mutex;

    use crate::model::{Change, Seconds, Topology};

    /// Only topologies of this name are noted: printing all of them would take longer than the tests.
    pub(crate) const NAME: &str = "counted";
    static INPUTS: Mutex<Vec<String>> = Mutex::new(Vec::new());

    pub(super) fn note(topology: &Topology, change: &Change, lasting: Seconds) {
        if topology.name == NAME {
            let input = format!("{topology:?} {change:?} {lasting:?}");
            INPUTS.lock().expect("no test panics with it").push(input);
        }
    }

    /// Returns everything that was compiled so far under that name.
    pub(crate) fn inputs() -> Vec<String> {
        INPUTS.lock().expect("no test panics with it").clone()
    }
}
