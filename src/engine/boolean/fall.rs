//! What is down, slow or corrupt by itself, for 512 lanes.

use super::chances::Draws;
use super::counter::Counter;
use super::lab::Lab;
use super::planes::{Apart, planes_of};
use crate::compile::plan::{Hit, NONE, Replica, Service};
use crate::engine::simd::{Bits, array};

/// What is down for its own reasons.
pub(super) trait Background<B: Bits>: Copy {
    /// The lanes in which a service is.
    fn service(self, number: u32, service: &Service) -> B::V;
    /// The lanes in which a replica is.
    fn replica(self, number: u32, replica: &Replica) -> B::V;
}

impl<B: Bits> Background<B> for Draws<'_, B> {
    #[inline(always)]
    fn service(self, _number: u32, it: &Service) -> B::V {
        self.unless_sure(it.key.0, it.unavailability, it.during)
    }

    #[inline(always)]
    fn replica(self, _number: u32, it: &Replica) -> B::V {
        self.chance(it.key.0, it.unavailability, self.bits.all())
    }
}

impl<const P: usize> Lab<'_, P> {
    /// What is down, slow or corrupt by itself.
    #[inline(always)]
    pub(super) fn fall<B: Bits>(&mut self, draws: Draws<'_, B>) {
        let bits = draws.bits;
        for index in 0..self.plan.domains.len() {
            let it = &self.plan.domains[index];
            let down = draws.unless_sure(it.key.0, it.unavailability, it.during);
            bits.store(&mut self.domains[index], down);
        }
        for target in 0..self.plan.targets.len() {
            self.strike(draws, target);
        }
        self.fall_with_domains(bits, draws);
    }

    /// Domains take down what is within them, and services that are down fall.
    #[inline(always)]
    pub(super) fn fall_with_domains<B: Bits>(&mut self, bits: B, background: impl Background<B>) {
        for domain in &self.plan.domain_order {
            let within = self.plan.domains[*domain as usize].within;
            if within != NONE {
                let both = bits.or(
                    bits.load(&self.domains[*domain as usize]),
                    bits.load(&self.domains[within as usize]),
                );
                bits.store(&mut self.domains[*domain as usize], both);
            }
        }
        for service in self.ailing {
            let down = self.service_down(bits, background, *service);
            if !bits.is_none(down) {
                self.bring_down(bits, *service, down);
            }
        }
    }

    /// Takes down all nodes of a service.
    #[inline(always)]
    pub(super) fn bring_down<B: Bits>(&mut self, bits: B, service: u32, down: B::V) {
        let planes = planes_of(bits, Apart { down, ..Apart::ok(bits) });
        for node in self.plan.nodes_of(service) {
            self.add(bits, node, planes);
        }
    }

    /// What a broken target does by itself.
    #[inline(always)]
    fn strike<B: Bits>(&mut self, draws: Draws<'_, B>, target: usize) {
        let (bits, it) = (draws.bits, &self.plan.targets[target]);
        let broken = draws.chance(it.key.0, it.probability, bits.all());
        if let Hit::Domain(domain) = it.hit {
            let domain = &mut self.domains[domain as usize];
            let both = bits.or(bits.load(domain), broken);
            bits.store(domain, both);
            return;
        }
        let mut left = broken;
        let [down, slow, corrupt] = array(|mode| {
            let drawn = draws.chance(it.mode_keys[mode].0, it.modes[mode], left);
            left = bits.without(left, drawn);
            drawn
        });
        let planes = planes_of(bits, Apart { slow, down, corrupt, degraded: bits.none() });
        match it.hit {
            Hit::Endpoint { node, .. } => self.add(bits, node, planes),
            Hit::Service(service) => {
                for node in self.plan.nodes_of(service) {
                    self.add(bits, node, planes);
                }
            }
            Hit::Domain(_) => {}
        }
    }

    /// Where a service is down by itself or through its domains and replicas.
    #[inline(always)]
    pub(super) fn service_down<B: Bits>(
        &self,
        bits: B,
        background: impl Background<B>,
        service: u32,
    ) -> B::V {
        let it = &self.plan.services[service as usize];
        let mut down = background.service(service, it);
        let mut domains =
            it.domains.iter().map(|domain| bits.load(&self.domains[*domain as usize]));
        if let Some(first) = domains.next() {
            down = bits.or(down, domains.fold(first, |all, domain| bits.and(all, domain)));
        }
        let count = it.replicas.len() as u32;
        if count == 0 {
            return down;
        }
        let mut lost = Counter::new(bits);
        for number in it.replicas.clone() {
            let replica = &self.plan.replicas[number as usize];
            let mut fails = background.replica(number, replica);
            if replica.domain != NONE {
                fails = bits.or(fails, bits.load(&self.domains[replica.domain as usize]));
            }
            lost.add(bits, fails);
        }
        bits.or(down, lost.at_least(bits, count - it.needs + 1))
    }
}
