//! Finds single points of failure: what fails a flow all by itself.

use crate::engine::Silent;
use crate::model::{Seconds, Share, Topology};
use crate::report::compare::SinglePoint;
use crate::report::{ComponentKind, OriginKind};
use crate::sort::Arrange as _;

use super::rank::{RankingRequest, rank_origins};
use super::simulate::{Settings, Stop};
use super::unknowns::dependencies_mut;

/// Services and failure domains that fail some flow when they alone are completely down, by name.
///
/// Nothing else is down for its own reasons, failure travels over every dependency it may travel
/// over, and fallbacks that can work do.
pub(super) fn find_single_points(topology: &Topology, lasting: Seconds) -> Vec<SinglePoint> {
    // Chance is taken out, so that one trial tells.
    let bare = without_chance(topology);
    let settings = Settings { stop: Stop::Trials(1), lasting, ..Settings::default() };
    let of = |by: OriginKind| {
        let found = rank_origins(
            &bare,
            RankingRequest { by, ..RankingRequest::default() },
            &settings,
            &Silent,
        );
        let points = found.origins.into_iter().filter(|origin| !origin.single_point_of.is_empty());
        points.map(move |item| SinglePoint {
            name: item.name,
            kind: if by == OriginKind::Domain {
                ComponentKind::Domain
            } else {
                ComponentKind::Service
            },
            flows: item.single_point_of,
        })
    };
    let mut found: Vec<SinglePoint> =
        of(OriginKind::Service).chain(of(OriginKind::Domain)).collect();
    found.arrange_by(|a, b| a.name.cmp(&b.name));
    found
}

/// The names of those that are not among others.
pub(super) fn only_in(these: &[SinglePoint], others: &[SinglePoint]) -> Vec<String> {
    let is_new = |item: &&SinglePoint| others.iter().all(|other| other.name != item.name);
    these.iter().filter(is_new).map(|these| these.name.clone()).collect()
}

fn without_chance(topology: &Topology) -> Topology {
    let mut bare = topology.clone();
    for domain in &mut bare.domains {
        domain.availability = None;
    }
    for service in &mut bare.services {
        service.availability = None;
        if let Some(replicas) = &mut service.replicas {
            replicas.availability = None;
        }
    }
    // A dependency that may pass failure on is one that can fail the flow.
    for item in dependencies_mut(&mut bare) {
        item.propagation = Share::ONE;
        // A fallback that never works is none.
        if let Some(fallback) = &mut item.fallback
            && !fallback.works.is_zero()
        {
            fallback.works = Share::ONE;
        }
    }
    bare
}
