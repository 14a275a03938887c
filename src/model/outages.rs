//! Outages that come and go without any change: how many there are in a time.

use super::change::{Change, Delay};
use super::defaults;
use super::topology::Topology;
use super::units::{Seconds, Share};
use crate::diagnostic::{Code, Diagnostic, Place};

/// The most outages of everything together that are followed in one trial.
pub const OUTAGES_MAX: f64 = 100_000.0;
/// The most of them times flows: what each flow loses anyway is kept from outage to outage.
const OUTAGES_OF_FLOWS_MAX: f64 = 4_000_000.0;

/// Returns the rate per second at which outages begin while something is up, so that it is up for a
/// share A of the time: `(1 - A) / (A m)`, m being the mean time to repair. 0 where it is always up
/// or always down.
pub fn outage_rate(availability: Share, repair: Delay) -> f64 {
    let up = availability.get();
    if up <= 0.0 || up >= 1.0 { 0.0 } else { (1.0 - up) / (up * repair.mean()) }
}

impl Topology {
    /// Returns the mean number of outages that begin in a time, over services, replicas and failure
    /// domains.
    pub fn expected_outages(&self, within: Seconds) -> f64 {
        let expected = |availability: Option<Share>, repair: Option<Delay>| {
            let availability = availability.unwrap_or(Share::ONE);
            // An outage takes its share of the time in which the next could begin.
            availability.get()
                * outage_rate(availability, defaults::time_to_repair(repair))
                * within.get()
        };
        let of_domains =
            self.domains.iter().map(|domain| expected(domain.availability, domain.mttr));
        let of_services = self.services.iter().map(|service| {
            let of_replicas = service.replicas.as_ref().map_or(0.0, |replicas| {
                f64::from(replicas.count) * expected(replicas.availability, replicas.mttr)
            });
            expected(service.availability, service.mttr) + of_replicas
        });
        of_domains.sum::<f64>() + of_services.sum::<f64>()
    }
}

impl Change {
    /// Returns what is wrong where so many outages begin before the horizon that no trial could follow
    /// them all. It points at the horizon, or at `place` where that is not stated.
    pub(crate) fn find_too_many_outages(
        &self,
        topology: &Topology,
        place: Place,
    ) -> Option<Diagnostic> {
        let expected = topology.expected_outages(self.horizon);
        // Each outage is followed through all flows, so both are bounded.
        let is_bounded = expected <= OUTAGES_MAX
            && expected * topology.flows.len() as f64 <= OUTAGES_OF_FLOWS_MAX;
        // In a single moment things are down or not, without any outages to follow.
        if self.is_moment() || is_bounded {
            return None;
        }
        let message = format!(
            "{expected:.0} outages of their own begin within the horizon of {}, too many to follow",
            self.horizon
        );
        let place = self.places.horizon.unwrap_or(place);
        Some(
            Diagnostic::error(Code::OutOfRange, message, place).help(
                "shorten `horizon`, or state a longer `mttr` where `availability` is declared",
            ),
        )
    }
}
