//! Own failures of domains, services and targets, before anything propagates.

use super::block::BlockState;
use super::lane_counter::LaneCounter;
use super::random_source::BlockDraws;
use super::state_planes::pack_planes;
use crate::compile::plan::{Hit, Replica, ReplicaId, Service, ServiceId, Target};
use crate::engine::pipeline::StateSets;
use crate::engine::simd::{Bits, array};

/// Source of background failures.
pub(super) trait BackgroundFailures<B: Bits>: Copy {
    /// Returns the lanes in which a service fails for its own reasons.
    fn service_failures(self, id: ServiceId, service: &Service) -> B::V;
    /// Returns the lanes in which a replica fails for its own reasons.
    fn replica_failures(self, id: ReplicaId, replica: &Replica) -> B::V;
}

impl<B: Bits> BackgroundFailures<B> for BlockDraws<'_, B> {
    #[inline(always)]
    fn service_failures(self, _id: ServiceId, service: &Service) -> B::V {
        self.draw_unless_certain(service.key.0, service.unavailability, service.during)
    }

    #[inline(always)]
    fn replica_failures(self, _id: ReplicaId, replica: &Replica) -> B::V {
        self.draw_event(replica.key.0, replica.unavailability, self.bits.all())
    }
}

impl<const P: usize> BlockState<'_, P> {
    /// Applies the own failures of domains and services, without the change.
    #[inline(always)]
    pub(super) fn apply_background<B: Bits>(&mut self, draws: BlockDraws<'_, B>) {
        let bits = draws.bits;
        for (id, domain) in self.plan.domains.entries() {
            let down =
                draws.draw_unless_certain(domain.key.0, domain.unavailability, domain.during);
            bits.store(&mut self.domains[id], down);
        }
        self.apply_domain_failures(bits, draws);
    }

    /// Applies the targets of the change, on top of the background.
    #[inline(always)]
    pub(super) fn apply_targets<B: Bits>(&mut self, draws: BlockDraws<'_, B>) {
        let targets = &self.plan.targets;
        for target in targets {
            self.apply_target(draws, target);
        }
        // Only then, since a target may take a domain down and with it all that is in it.
        if targets.iter().any(|target| matches!(target.hit, Hit::Domain(_))) {
            self.apply_domain_failures(draws.bits, draws);
        }
    }

    /// Propagates domain failures to inner domains, then marks the services that are down.
    #[inline(always)]
    pub(super) fn apply_domain_failures<B: Bits>(
        &mut self,
        bits: B,
        background: impl BackgroundFailures<B>,
    ) {
        // Outer domains first, so that one walk carries failure through all levels.
        for domain in &self.plan.domain_order {
            if let Some(within) = self.plan.domains[*domain].within {
                let both =
                    bits.or(bits.load(&self.domains[*domain]), bits.load(&self.domains[within]));
                bits.store(&mut self.domains[*domain], both);
            }
        }
        for service in self.may_be_down {
            let down = self.service_failures(bits, background, *service);
            if !bits.is_none(down) {
                self.mark_service_down(bits, *service, down);
            }
        }
    }

    /// Marks all nodes of a service as down.
    #[inline(always)]
    pub(super) fn mark_service_down<B: Bits>(&mut self, bits: B, service: ServiceId, down: B::V) {
        let planes = pack_planes(bits, StateSets { down, ..StateSets::all_ok(bits.none()) });
        for node in self.plan.nodes_of(service) {
            self.merge_planes(bits, node, planes);
        }
    }

    /// Applies a target: draws whether it breaks and in which mode.
    #[inline(always)]
    fn apply_target<B: Bits>(&mut self, draws: BlockDraws<'_, B>, item: &Target) {
        let bits = draws.bits;
        let broken = draws.draw_event(item.key.0, item.probability, bits.all());
        // The services in it are marked afterwards, together with those in other domains.
        if let Hit::Domain(domain) = item.hit {
            let domain = &mut self.domains[domain];
            let both = bits.or(bits.load(domain), broken);
            bits.store(domain, both);
            return;
        }
        let mut left = broken;
        let [down, slow, corrupt] = array(
            #[inline(always)]
            |mode| {
                let drawn = draws.draw_event(item.mode_keys[mode].0, item.modes[mode], left);
                // Modes are drawn one after the other, each only where none before was drawn.
                left = bits.without(left, drawn);
                drawn
            },
        );
        let planes = pack_planes(bits, StateSets { slow, down, corrupt, degraded: bits.none() });
        match item.hit {
            Hit::Endpoint { node, .. } => self.merge_planes(bits, node, planes),
            Hit::Service(service) => {
                for node in self.plan.nodes_of(service) {
                    self.merge_planes(bits, node, planes);
                }
            }
            Hit::Domain(_) => {}
        }
    }

    /// Returns the lanes in which a service is down by itself or through its domains and replicas.
    #[inline(always)]
    pub(super) fn service_failures<B: Bits>(
        &self,
        bits: B,
        background: impl BackgroundFailures<B>,
        service: ServiceId,
    ) -> B::V {
        let item = &self.plan.services[service];
        let mut down = background.service_failures(service, item);
        if !item.domains.is_empty() {
            // A service in several domains is up as long as one of them is.
            let mut all_domains = bits.all();
            for domain in &item.domains {
                all_domains = bits.and(all_domains, bits.load(&self.domains[*domain]));
            }
            down = bits.or(down, all_domains);
        }
        let count = item.replicas.len() as u32;
        if count == 0 {
            return down;
        }
        let mut lost = LaneCounter::new(bits);
        for id in item.replicas {
            let replica = &self.plan.replicas[id];
            let mut fails = background.replica_failures(id, replica);
            if let Some(domain) = replica.domain {
                fails = bits.or(fails, bits.load(&self.domains[domain]));
            }
            lost.add_carry(bits, fails);
        }
        // It fails when fewer than it needs are left.
        bits.or(down, lost.at_least(bits, count - item.needs + 1))
    }
}
