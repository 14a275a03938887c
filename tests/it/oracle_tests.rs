//! Smoke.
use crate::oracle::{lasting, moment, story};
use crate::random::{Features, scenario};

#[test]
fn smoke() {
    for (name, features) in [
        ("boolean", Features::boolean()),
        ("moment", Features::moment()),
        ("load", Features::load()),
    ] {
        let (mut tried, mut passed, mut contained, mut unsettled, mut restless, mut fails) =
            (0, 0, 0, 0, 0, 0);
        let start = std::time::Instant::now();
        let mut guards = std::collections::BTreeMap::new();
        for seed in 0..2000 {
            let s = scenario(seed, &features);
            let t = moment(&s.topology, &s.change, 1, seed % 7);
            let l = lasting(&s.topology, &s.change, 1, seed % 7, 7000.0);
            for p in t.dependencies.values() {
                tried += u32::from(p.tried);
                passed += u32::from(p.passed);
                contained += u32::from(p.contained_by.is_some());
                *guards.entry(format!("{:?}", p.contained_by)).or_insert(0) += 1;
            }
            unsettled += u32::from(!t.unsettled.is_empty());
            restless += u32::from(t.restless);
            fails += t.services.values().filter(|o| o.fails).count();
            assert!(l.flows.len() == t.flows.len());
        }
        println!(
            "{name}: tried {tried} passed {passed} contained {contained} unsettled {unsettled} restless {restless} fails {fails} {guards:?} {:?}",
            start.elapsed()
        );
    }
    let start = std::time::Instant::now();
    let (mut det, mut ended, mut never, mut meta, mut uns, mut restless) = (0, 0, 0, 0, 0, 0);
    let mut by = std::collections::BTreeMap::new();
    for seed in 0..200 {
        let s = scenario(seed, &Features::time());
        let t = story(&s.topology, &s.change, 1, seed % 7, 60.0);
        det += u32::from(t.detected.is_some());
        if let Some(d) = t.detected {
            *by.entry(format!("{:?}", d.by)).or_insert(0) += 1;
        }
        ended += u32::from(t.cause_ended.is_some());
        never += u32::from(!t.never_recover.is_empty());
        meta += u32::from(!t.metastable.is_empty());
        uns += u32::from(!t.unsettled.is_empty());
        restless += u32::from(t.restless);
    }
    println!(
        "time: detected {det} {by:?} ended {ended} never {never} meta {meta} unsettled {uns} restless {restless} {:?}",
        start.elapsed()
    );
}
