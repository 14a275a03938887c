//! Files with every key in every form, and what they mean.

use crate::support::{assert_kept, kept_path};
use blastwave::diagnostic::{Code, Diagnostic, Place, Sources};
use blastwave::load;
use blastwave::model::change::{ChangePlaces, Routing, Strategy, Target};
use blastwave::model::topology::{Dependency, Timeout};
use blastwave::model::{Change, Kind, Scenario, Share, Topology, lint};
use blastwave::render::text::diagnostics::{DiagnosticStyle, render_diagnostics};

const TOPOLOGY: &str = include_str!("files/full-topology.yaml");
const CHANGE: &str = include_str!("files/full-change.yaml");
const SCENARIO: &str = include_str!("files/full-scenario.yaml");

/// Reads a text that is right.
#[track_caller]
fn right<T>(
    text: &str,
    read: impl FnOnce(&load::Document, &Sources) -> Result<T, Vec<Diagnostic>>,
) -> T {
    let mut sources = Sources::default();
    let document = load::parse_document("file.yaml", text.as_bytes().to_vec(), &mut sources);
    let result = document.and_then(|document| read(&document, &sources));
    result.unwrap_or_else(|problems| {
        panic!("{}", render_diagnostics(&problems, &sources, DiagnosticStyle::Plain))
    })
}

#[track_caller]
fn topology(text: &str) -> Topology {
    right(text, |document, _| Topology::from_document(document))
}

#[track_caller]
fn change(text: &str) -> Change {
    let topology = topology(TOPOLOGY);
    right(text, |document, _| Change::from_document(document, &topology))
}

fn dependency<'a>(topology: &'a Topology, caller: &str, name: &str) -> &'a Dependency {
    let id = topology.service_id(caller).expect("a service");
    let dependencies = topology.service(id).dependencies.iter();
    let mut named = dependencies.filter(|dep| topology.dependency_name(dep) == name);
    named.next_back().expect("a dependency")
}

#[test]
fn a_topology_with_every_key_is_read() {
    let read = without_places(topology(TOPOLOGY));
    assert_kept(&kept_path("full-topology.txt"), &format!("{read:#?}\n"));
}

#[test]
fn a_change_with_every_key_is_read() {
    let mut change = change(CHANGE);
    change.places = ChangePlaces::default();
    for target in &mut change.targets {
        target.place = Place::default();
    }
    assert_kept(&kept_path("full-change.txt"), &format!("{change:#?}\n"));
}

#[test]
fn a_scenario_names_its_files() {
    let scenario = right(SCENARIO, Scenario::from_document);
    assert_eq!(scenario.name, "payments release");
    assert_eq!(scenario.topology.path, "full-topology.yaml");
    assert_eq!(scenario.changes.len(), 1);
    let policies: Vec<&str> = scenario.policies.iter().map(|file| &*file.path).collect();
    assert_eq!(policies, ["policy.yaml"]);
    assert_eq!(scenario.waivers.map(|file| file.path).as_deref(), Some("waivers.yaml"));
}

#[test]
fn files_tell_their_kind() {
    let kind = |text| right(text, |document, _| Ok(Kind::of_document(document)));
    assert_eq!(kind(TOPOLOGY), Some(Kind::Topology));
    assert_eq!(kind(CHANGE), Some(Kind::Change));
    assert_eq!(kind(SCENARIO), Some(Kind::Scenario));
    assert_eq!(kind("policy: x\n"), Some(Kind::Policy));
    assert_eq!(kind("incident: x\ntopology: y\n"), Some(Kind::Incident));
    assert_eq!(kind("services: {}\n"), None);
}

#[test]
fn the_order_of_keys_changes_nothing() {
    let one = "version: 1\ntopology: t\nfailure_domains: {z: {}, y: {within: z}}\nservices:\n  a: {dependencies: [b, c], \
               domains: [z, y], endpoints: {p: {}, o: {}}}\n  b: {}\n  c: {}\nflows: {g: {steps: [a]}, f: {steps: [a/p]}}\n";
    let other = "flows: {f: {steps: [a/p]}, g: {steps: [a]}}\nservices:\n  c: {}\n  b: {}\n  a: {endpoints: {o: {}, p: {}}, \
                 domains: [y, z], dependencies: [b, c]}\nfailure_domains: {y: {within: z}, z: {}}\ntopology: t\nversion: 1\n";
    assert_eq!(without_places(topology(one)), without_places(topology(other)));
}

#[test]
fn defaults_hold_for_services_but_not_for_steps() {
    let topology = topology(TOPOLOGY);
    let catalog = dependency(&topology, "storefront", "catalog");
    assert!(matches!(catalog.timeout, Timeout::After(time) if time.get() == 2.0));
    assert_eq!(catalog.retries, Some(1));
    assert!(catalog.fallback.is_some());
    let group = dependency(&topology, "storefront", "psp-a|psp-b|psp-c");
    assert_eq!(group.timeout, Timeout::None);
    assert!(group.fallback.is_none());
    assert_eq!(group.retries, Some(1));
    let step = &topology.flows[1].steps[0];
    assert_eq!((step.timeout, step.retries), (Timeout::Unstated, None));
}

#[test]
fn a_default_guard_does_not_guard_itself() {
    let topology = topology(
        "version: 1\ntopology: t\ndefaults: {dependency: {fallback: spare, cache: {ttl: static, service: redis}}}\n\
         services: {a: {dependencies: [b, spare, redis]}, b: {}, spare: {}, redis: {}}\n",
    );
    assert!(dependency(&topology, "a", "b").fallback.is_some());
    assert!(dependency(&topology, "a", "spare").fallback.is_none());
    assert!(dependency(&topology, "a", "spare").cache.is_some());
    assert!(dependency(&topology, "a", "redis").cache.is_none());
}

#[test]
fn an_endpoint_may_depend_on_its_sibling() {
    let text =
        "version: 1\ntopology: t\nservices: {a: {endpoints: {p: {dependencies: [a/o]}, o: {}}}}\n";
    assert_eq!(topology(text).services[0].endpoints[1].dependencies.len(), 1);
}

#[test]
fn strategies_stand_for_stages() {
    let rollout = |text: &str| {
        let text = format!("version: 1\nchange: c\ntargets: [cart]\nrollout: {text}\n");
        change(&text).rollout.expect("a rollout")
    };
    let stages = |text: &str| -> Vec<(String, Option<f64>, String)> {
        let stages = rollout(text).stages;
        let shown = |stage: blastwave::model::change::Stage| {
            (
                stage.exposure.to_string(),
                stage.bake.map(blastwave::model::Seconds::get),
                stage.catch_probability.to_string(),
            )
        };
        stages.into_iter().map(shown).collect()
    };
    let stage = |exposure: &str, bake, gate: &str| (exposure.to_owned(), bake, gate.to_owned());
    let last = stage("100%", None, "0%");
    assert_eq!(stages("all-at-once"), std::slice::from_ref(&last));
    assert_eq!(stages("canary"), [stage("5%", Some(600.0), "50%"), last.clone()]);
    assert_eq!(
        stages("{strategy: canary, first: 1%, bake: 1h, catch_probability: 90%}"),
        [stage("1%", Some(3600.0), "90%"), last.clone()]
    );
    assert_eq!(stages("blue-green"), [stage("100%", Some(600.0), "50%")]);
    assert_eq!(
        stages("{strategy: rolling, steps: 2, bake: 30s}"),
        [stage("50%", Some(30.0), "0%"), last.clone()]
    );
    assert_eq!(stages("cells").len(), 10);
    assert_eq!(rollout("cells").routing, Routing::Sticky);
    assert_eq!(rollout("{strategy: cells, routing: random, count: 4}").routing, Routing::Random);
    assert_eq!(rollout("canary").strategy, Some(Strategy::Canary));
    assert_eq!(rollout("{stages: [1%, 100%]}").strategy, None);
}

#[test]
fn short_forms_mean_what_the_long_ones_do() {
    let short = change(
        "version: 1\nchange: c\ntargets: [{service: cart, onset: 5m, modes: slow}]\ndetection: 5m\nrollback: 10m\n\
         kill_switch: 1m\nrepair: 1h\nreviewed_by: someone\n",
    );
    let long = change(
        "version: 1\nchange: c\ntargets: [{service: cart, onset: {median: 5m, p95: 5m}, modes: {slow: 1.0}}]\n\
         detection: {median: 5m}\nrollback: {median: 10m, p95: 10m}\nkill_switch: {median: 1m}\n\
         repair: {median: 1h}\nreviewed_by: [someone]\n",
    );
    let plain = |change: Change| {
        let targets = change.targets.into_iter();
        let targets = targets.map(|target| Target { place: Place::default(), ..target }).collect();
        Change { targets, places: ChangePlaces::default(), ..change }
    };
    assert_eq!(plain(short), plain(long));
}

#[test]
fn shares_may_be_numbers() {
    let text = "version: 1\ntopology: t\nservices: {a: {availability: 0.5}, b: {availability: 50%}, c: {availability: 1}}\n";
    let shares: Vec<Option<Share>> =
        topology(text).services.iter().map(|service| service.availability).collect();
    assert_eq!(shares[0], shares[1]);
    assert_eq!(shares[2], Some(Share::ONE));
}

fn without_places(mut topology: Topology) -> Topology {
    for domain in &mut topology.domains {
        domain.place = Place::default();
    }
    for service in &mut topology.services {
        service.place = Place::default();
        let of_endpoints = service.endpoints.iter_mut().flat_map(|endpoint| {
            endpoint.place = Place::default();
            &mut endpoint.dependencies
        });
        for dependency in service.dependencies.iter_mut().chain(of_endpoints) {
            dependency.place = Place::default();
        }
    }
    for flow in &mut topology.flows {
        flow.place = Place::default();
        for step in &mut flow.steps {
            step.place = Place::default();
        }
    }
    topology
}

/// A topology in which each service calls the next.
fn chain(length: usize, last: &str) -> String {
    let call = "retries: 1, timeout: 1s, fallback: spare";
    let service = |index: usize| {
        format!("  s{index}: {{ dependencies: [{{ service: s{}, {call} }}] }}\n", index + 1)
    };
    let services: Vec<String> = (0..length - 1).map(service).collect();
    format!(
        "version: 1\ntopology: chain\nservices:\n{}  s{}: {last}\n  spare:\nflows: {{ f: {{ steps: [s0] }} }}\n",
        services.concat(),
        length - 1
    )
}

#[test]
fn a_long_chain_and_a_long_circle_overflow_nothing() {
    let long = topology(&chain(50_000, "{}"));
    let codes: Vec<Code> = lint::lint_topology(&long).iter().map(|warning| warning.code).collect();
    assert!(codes.contains(&Code::RetryAmplification));
    assert!(codes.iter().filter(|code| **code == Code::LateFallback).count() <= 21);
    let hard = chain(50_000, "{ dependencies: [s0] }").replace(", fallback: spare", "");
    let warnings = lint::lint_topology(&topology(&hard));
    let circle = warnings.iter().find(|warning| warning.code == Code::DependencyCycle);
    let message = &circle.expect("a circle").message;
    assert!(message.ends_with("… (49992 more) … -> s49998 -> s49999 -> s0"), "{message}");
}
