//! The HTML report: whole, harmless whatever things are called, small, and the same each time.

use crate::support::program;
use blastwave::analysis::compare::Side;
use blastwave::analysis::explain::ExplanationRequest;
use blastwave::analysis::rank::{RankingRequest, rank_origins};
use blastwave::analysis::{Settings, Stop, compare_sides, explain_flows, simulate_change};
use blastwave::cascade::{CascadeFilter, cascade_report, page_report};
use blastwave::diagnostic::Sources;
use blastwave::engine::Silent;
use blastwave::load;
use blastwave::model::{Change, Seconds, Topology};
use blastwave::render::html::{self, Made};
use blastwave::report::{CascadeReport, ComparedKind, OriginKind};

/// Names that break what is put together from text.
const HOSTILE: [&str; 6] =
    ["<script src=x", "\"quoted\" & 'single'", "<!--", "שירות-תשלומים", "onerror=alert(1)", "🔥💥"];
/// Longer names for people may hold anything.
const TITLE: &str = "</script><script>alert(1)</script><img src=x>";

/// A chain of services with a guard here and there; names that are hostile come first.
fn topology(services: usize) -> Topology {
    let name = |index: usize| {
        let name = HOSTILE
            .get(index)
            .map_or_else(|| format!("service-{index}"), |item| (*item).to_owned());
        serde_json::to_string(&name).unwrap()
    };
    let mut yaml = String::from("version: 1\ntopology: shop\nservices:\n");
    for index in 0..services {
        let calls: Vec<String> = [index / 2, index / 3]
            .into_iter()
            .filter(|item| *item != index && index > 0)
            .enumerate()
            .map(|(place, on)| match place {
                0 => format!("{{ service: {} }}", name(on)),
                _ => {
                    format!("{{ service: {}, fallback: {{ static: true, works: 60% }} }}", name(on))
                }
            })
            .collect();
        let calls =
            if index / 2 == index / 3 { calls.into_iter().take(1).collect() } else { calls };
        yaml.push_str(&format!("  {}: {{ dependencies: [{}] }}\n", name(index), calls.join(", ")));
    }
    yaml.push_str(&format!(
        "flows:\n  order: {{ title: \"{TITLE}\", steps: [{}], rate: 60/min }}\n",
        name(services - 1)
    ));
    let mut sources = Sources::default();
    let document = load::parse_document("shop.yaml", yaml.into_bytes(), &mut sources).unwrap();
    Topology::from_document(&document).unwrap()
}

fn change(topology: &Topology) -> Change {
    let target = serde_json::to_string(HOSTILE[0]).unwrap();
    let yaml = format!(
        "version: 1\nchange: v2\nkind: code\ntargets: [{{ service: {target} }}]\n\
         rollout: {{ stages: [{{ exposure: 100% }}] }}\n\
         detection: {{ median: 5m, p95: 20m }}\n\
         rollback: {{ median: 5m, p95: 20m }}\n"
    );
    let mut sources = Sources::default();
    let document = load::parse_document("v2.yaml", yaml.into_bytes(), &mut sources).unwrap();
    Change::from_document(&document, topology).unwrap()
}

fn settings() -> Settings {
    Settings {
        seed: 1,
        stop: Stop::Trials(64),
        lasting: Seconds::ZERO,
        is_certain: false,
        ..Settings::default()
    }
}

/// A report of so many services.
pub(crate) fn page(services: usize) -> String {
    let topology = topology(services);
    let report = simulate_change(&topology, &change(&topology), &settings(), &Silent);
    let cascade = cascade_report(&topology, &report, &CascadeFilter::default());
    let data = page_report(&topology, &report);
    let files = ["shop.yaml".to_owned()];
    let made = Made { command: "blastwave simulate '</pre><b>'", inputs: &files };
    html::simulated_page(&report, &cascade, &data, &made)
}

/// Markup that no name can have brought in, and nothing that a strict policy refuses.
fn assert_harmless(page: &str) {
    assert_eq!(page.matches("</script").count(), 2);
    assert_eq!(page.matches("<script").count(), 2);
    for refused in ["<img", " style=\"", " onclick", "http-equiv=\"refresh", "src=\"", "unsafe-"] {
        assert!(!page.contains(refused), "{refused}");
    }
    let links = page.matches("http").count();
    let known = page.matches("http://www.w3.org/2000/svg").count() + 1;
    assert_eq!(links, known, "something may be fetched");
    assert!(page.contains("default-src 'none'; script-src 'sha256-"));
}

#[test]
fn a_report_is_whole_harmless_and_the_same_each_time() {
    let once = page(40);
    assert_harmless(&once);
    for id in ["flows", "cascade", "when", "losses", "services", "held", "inputs", "bw-data"] {
        assert!(once.contains(&format!("id=\"{id}\"")), "{id}");
    }
    assert!(once.contains("<pre>blastwave simulate &#39;&lt;/pre&gt;&lt;b&gt;&#39;</pre>"));
    assert!(once == page(40), "two runs differ");
}

#[test]
fn a_report_of_300_services_stays_under_500_kilobytes() {
    let page = page(300);
    assert!(page.len() < 500_000, "{} bytes", page.len());
    assert!(page.matches("<th scope=\"row\"><bdi>service-").count() >= 294);
}

#[test]
fn a_ranking_is_whole_and_harmless() {
    let topology = topology(12);
    let ranking = RankingRequest {
        by: OriginKind::Service,
        mode: blastwave::engine::origins::FailureMode::Down,
        top: None,
    };
    let settings = Settings { is_certain: true, ..settings() };
    let report = rank_origins(&topology, ranking, &settings, &Silent);
    let page = html::rank_page(&report, &Made::default());
    assert_harmless(&page);
    assert!(page.contains("id=\"heat\"") && page.contains("id=\"bw-services\""));
}

#[test]
fn a_comparison_is_whole_and_harmless() {
    let (a, b) = (topology(12), topology(14));
    let changes = [change(&a), change(&b)];
    let sides = [("a </script>", &a, &changes[0]), ("b", &b, &changes[1])]
        .map(|(name, topology, change)| Side { name: name.to_owned(), topology, change });
    let report = compare_sides(&sides, ComparedKind::Topologies, &[], &settings(), &Silent);
    let focuses: Vec<CascadeReport> = sides
        .iter()
        .zip(&report.sides)
        .map(|(side, of)| cascade_report(side.topology, &of.result, &CascadeFilter::default()))
        .collect();
    let page = html::comparison_page(&report, &focuses, &Made::default());
    assert_harmless(&page);
    for id in ["flows", "cascade", "has-b", "points", "inputs"] {
        assert!(page.contains(&format!("id=\"{id}\"")), "{id}");
    }
    assert!(page.contains("<bdi>a &lt;/script&gt;</bdi>") && !page.contains("a </script>"));
    assert!(page == html::comparison_page(&report, &focuses, &Made::default()), "two runs differ");
}

#[test]
fn every_picture_of_a_change_stands_on_one_page() {
    let topology = topology(20);
    let change = change(&topology);
    let report = simulate_change(&topology, &change, &settings(), &Silent);
    let asked = ExplanationRequest { has_change: true, ..ExplanationRequest::default() };
    let explained = explain_flows(&topology, &change, &settings(), &asked, &Silent).unwrap();
    let cascade = cascade_report(&topology, &report, &CascadeFilter::default());
    let data = page_report(&topology, &report);
    let page =
        html::diagrams_page(&report, &cascade, &data, Some(&explained), None, &Made::default());
    assert_harmless(&page);
    for kind in ["cascade", "timeline", "losses", "tornado"] {
        assert!(page.contains(&format!("id=\"bw-{kind}-title\"")), "{kind}");
    }
}

#[test]
fn answers_without_a_page_say_so_before_anything_is_simulated() {
    let folder = tempfile::tempdir().unwrap();
    let page = folder.path().join("page.html");
    for command in ["explain", "replay"] {
        let output = program(folder.path())
            .args([command, "not-there.yaml", "--format", "html", "-o"])
            .arg(&page)
            .output()
            .unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{command}: {said}");
        assert!(
            said.contains("`text`, `json` or `markdown`") && !page.exists(),
            "{command}: {said}"
        );
    }
}
