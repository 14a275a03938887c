//! Advice: it finds a protection that was taken away, and recommends nothing that its own interval
//! does not support.

use blastwave::diagnostic::Sources;
use blastwave::engine::Silent;
use blastwave::model::{Change, Topology};
use blastwave::report::AdviseReport;
use blastwave::report::advise::ADVISE_SCHEMA;
use blastwave::study::advise::KINDS;
use blastwave::study::{Settings, Stop, advise};

use crate::exact::topology;

fn webshop_without(protection: &str) -> Topology {
    let path = format!("{}/topologies/webshop.yaml", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    assert!(text.contains(protection), "{protection} is not in the webshop");
    let text = text.replacen(protection, "", 1);
    topology(&text)
}

fn advised(topology: &Topology, broken: &str) -> AdviseReport {
    let breaks = [broken.to_owned()];
    let change = Change::from_breaks(&breaks, topology, &mut Sources::default()).unwrap();
    let settings = Settings { stop: Stop::Trials(512), is_certain: true, ..Settings::default() };
    let report = advise(topology, &change, &[], &settings, &Silent);
    let json = serde_json::to_value(&report).unwrap();
    let schema = serde_json::from_str(ADVISE_SCHEMA).unwrap();
    if let Err(error) = jsonschema::validate(&schema, &json) {
        panic!("{error}");
    }
    report
}

#[test]
fn a_protection_that_was_taken_from_the_webshop_is_found() {
    let cases = [
        (
            ", fallback: { service: catalog/list, works: 90% }",
            "search",
            "fallback",
            "storefront/search > search",
        ),
        (", validates: true", "prices:corrupt", "validation", "orders/place > prices"),
        (", fallback: static", "prices", "fallback", "orders/place > prices"),
    ];
    for (protection, broken, kind, at) in cases {
        let report = advised(&webshop_without(protection), broken);
        let is_it = |it: &&blastwave::report::advise::AdviceReport| it.kind == kind && it.at == at;
        assert!(report.alone.iter().find(is_it).is_some(), "{protection}: {:#?}", report.alone);
    }
}

#[test]
fn nothing_is_recommended_that_its_interval_does_not_support() {
    for broken in ["payments:slow", "orders-db", "email"] {
        let report = advised(&webshop_without(", validates: true"), broken);
        assert!(report.alone.iter().chain(&report.together).all(|it| it.saved.low > 0.0));
        assert!(report.after <= report.before);
    }
}

#[test]
fn what_is_left_out_is_not_recommended_and_every_kind_has_a_name() {
    let shop = webshop_without(", validates: true");
    let breaks = ["payments:slow".to_owned()];
    let change = Change::from_breaks(&breaks, &shop, &mut Sources::default()).unwrap();
    let settings = Settings { stop: Stop::Trials(512), is_certain: true, ..Settings::default() };
    let left_out = ["soft", "fallback"].map(ToOwned::to_owned);
    let report = advise(&shop, &change, &left_out, &settings, &Silent);
    let kinds = report.alone.iter().chain(&report.together).map(|it| it.kind.as_str());
    for kind in kinds {
        assert!(KINDS.contains(&kind) && kind != "soft" && kind != "fallback", "{kind}");
    }
}
