//! Pictures: they can be read by any XML parser whatever things are called, and stay the same.

use crate::support::assert_kept;
use std::fs;
use std::path::{Path, PathBuf};

use blastwave::analysis::{Settings, Stop, simulate_change};
use blastwave::cascade::{CascadeFilter, Fold, Grouping, cascade_report, with_one_arrow};
use blastwave::chart::{
    self, Architecture, ChartStyle, PageSize, Theme, TimelineLanes, architecture_drawio,
    architecture_excalidraw, architecture_mermaid, cascade_csv, cascade_dot, draw_architecture,
    draw_cascade, draw_losses, draw_timeline, mermaid,
};
use blastwave::diagnostic::Sources;
use blastwave::engine::Silent;
use blastwave::load;
use blastwave::model::{Change, Incident, Topology};
use blastwave::report::cascade::{
    Arrows, BoxState, CASCADE_SCHEMA, CascadeBox, CascadeEdge, CascadeFlow, CascadeReport,
    CascadeTotals, EdgeKind, GuardShare,
};
use blastwave::report::{FailureMode, Protection};
use blastwave::report::{Interval, ObservedReport, Report, WaitingReason, WaitingReport};
use roxmltree::Document;

use crate::random::{Dice, Features, scenario};

/// Names that break what is put together from text.
const HOSTILE: [&str; 12] = [
    "payments",
    "</script><script>alert(1)</script>",
    "\"quoted\" & 'single'",
    "<b>bold</b>",
    "a\u{202E}evil\u{2066}",
    "שירות-תשלומים",
    "خدمة",
    "漢字サービス",
    "🔥💥 service",
    "line\nbreak\ttab\u{0}\u{1b}[31m",
    "]]>--><!--",
    "a-very-long-name-that-goes-on-and-on-and-on-and-on-and-on-and-on",
];

const KINDS: [EdgeKind; 6] = [
    EdgeKind::Call,
    EdgeKind::Call,
    EdgeKind::Call,
    EdgeKind::RunsIn,
    EdgeKind::Load,
    EdgeKind::Degraded,
];

fn interval(p: f64) -> Interval {
    Interval { p, low: p * 0.9, high: (p * 1.1).min(1.0), exact: None }
}

/// No reason why requests wait, or one with hostile names.
fn random_waiting(dice: &mut Dice) -> Vec<WaitingReport> {
    let mut reason = || WaitingReport {
        reason: WaitingReason::ALL[dice.below(WaitingReason::ALL.len())],
        service: HOSTILE[dice.below(HOSTILE.len())].to_owned(),
        dependency: dice.chance(0.5).then(|| HOSTILE[dice.below(HOSTILE.len())].to_owned()),
        size: Some(20.0),
        limit_s: None,
        p: dice.unit(),
        text: String::new(),
    };
    let reason = reason();
    if dice.chance(0.5) { vec![reason] } else { Vec::new() }
}

/// A picture's data with cycles, several parts and hostile names.
fn random_focus(seed: u64) -> CascadeReport {
    let mut dice = Dice::new(seed);
    let count = 1 + dice.below(if seed % 200 == 50 { 400 } else { 24 });
    let name =
        |dice: &mut Dice, index: usize| format!("{}{index}", HOSTILE[dice.below(HOSTILE.len())]);
    let boxes = (0..count).map(|index| {
        let failed = dice.unit();
        CascadeBox {
            name: name(&mut dice, index),
            title: dice.chance(0.3).then(|| HOSTILE[dice.below(HOSTILE.len())].to_owned()),
            state: if index == 0 { BoxState::Origin } else { BoxState::ALL[1 + dice.below(4)] },
            rank: dice.chance(0.7).then_some(index),
            hops: None,
            failed: interval(failed),
            degraded: interval(failed.midpoint(1.0)),
            failed_anyway: dice.unit() * 0.1,
            first_failed_s: None,
            failed_for_s: None,
            team: dice.chance(0.5).then(|| HOSTILE[dice.below(HOSTILE.len())].to_owned()),
            zones: ["zone-a", "zone-b"].map(str::to_owned)[..2 * usize::from(dice.chance(0.5))]
                .to_vec(),
            tier: None,
            kind: None,
            flows: Vec::new(),
            waiting: random_waiting(&mut dice),
            folded: None,
        }
    });
    let boxes: Vec<CascadeBox> = boxes.collect();
    let mut edges = Vec::new();
    for _ in 0..dice.below(count * 2 + 1) {
        let from = dice.below(count);
        let to = (from + 1 + dice.below(5)) % count;
        let is_new =
            |cascade_edge: &CascadeEdge| cascade_edge.from != from || cascade_edge.to != to;
        if from != to && edges.iter().all(is_new) {
            let held = dice.chance(0.5).then(|| GuardShare {
                guard: Protection::ALL[dice.below(Protection::ALL.len())],
                share: dice.unit(),
            });
            edges.push(CascadeEdge {
                from,
                to,
                kind: KINDS[dice.below(6)],
                passed: dice.unit(),
                held: held.into_iter().collect(),
            });
        }
    }
    let flows = (0..dice.below(15)).map(|index| CascadeFlow {
        name: name(&mut dice, index),
        title: None,
        critical: index == 1,
        failed: interval(0.2),
        degraded: interval(0.4),
        failed_anyway: 0.01,
        orders_lost: Some(120.0),
        outage_min: None,
        late: None,
    });
    let flows: Vec<CascadeFlow> = flows.collect();
    CascadeReport {
        schema: CASCADE_SCHEMA.to_owned(),
        topology: "shop".to_owned(),
        change: HOSTILE[1].to_owned(),
        targets: vec![boxes[0].name.clone()],
        mode: dice.chance(0.5).then_some(FailureMode::Down),
        seed,
        trials: 1000,
        has_time: false,
        threshold: 0.05,
        threshold_asked: None,
        totals: CascadeTotals::default(),
        arrows: Arrows::All,
        further_calls: 0,
        flows,
        boxes,
        edges,
        flows_omitted: 2,
        omitted: 1,
        rarely_hit: 3,
        untouched: 4,
    }
}

/// What an XML parser makes of a picture; fails where it is none, or holds what it must not.
fn parsed(svg: &str) -> Document<'_> {
    let document = Document::parse(svg).unwrap_or_else(|error| panic!("{error}\n{svg}"));
    let root = document.root_element();
    assert_eq!(root.attribute("role"), Some("img"));
    let titles = ["title", "desc"];
    for wanted in titles {
        let found = root
            .children()
            .find(|child| child.has_tag_name(("http://www.w3.org/2000/svg", wanted)));
        assert!(
            found.is_some_and(|found| found.text().is_some_and(|text| !text.is_empty())),
            "{wanted}"
        );
    }
    for node in document.descendants().filter(roxmltree::Node::is_element) {
        assert_ne!(node.tag_name().name(), "script");
        for attribute in node.attributes() {
            let name = attribute.name();
            assert!(!name.starts_with("on") && name != "style" && name != "href", "{name}");
        }
        let is_colored = ["rect", "path", "circle", "text"].contains(&node.tag_name().name());
        let has_spans = node.children().any(|child| child.has_tag_name("tspan"));
        if is_colored && !has_spans {
            assert!(node.attribute("fill").is_some(), "colors stand in attributes: {node:?}");
        }
    }
    document
}

fn names(document: &Document<'_>, class: &str, of: &str) -> Vec<String> {
    let groups =
        document.descendants().filter(|descendant| descendant.attribute("class") == Some(class));
    groups.map(|group| group.attribute(of).unwrap_or_default().to_owned()).collect()
}

#[test]
fn a_thousand_pictures_are_well_formed_whatever_things_are_called() {
    for seed in 0..1000 {
        let cascade = random_focus(seed);
        let size = [PageSize::Doc, PageSize::Slide, PageSize::Full][seed as usize % 3];
        let theme = [Theme::Auto, Theme::Light, Theme::Dark, Theme::Embedded][seed as usize % 4];
        let style = ChartStyle { size, theme, font: None };
        let svg = draw_cascade(&cascade, &style);
        let document = parsed(&svg);
        assert_eq!(names(&document, "bw-box", "data-name").len(), cascade.boxes.len());
        // Where all arrows would make it too wide, each box has one.
        let arrows = names(&document, "bw-edge", "data-from").len();
        let single = with_one_arrow(&cascade).edges.len();
        assert!(arrows == cascade.edges.len() || arrows == single, "{arrows} arrows");
        if seed % 10 == 0 {
            assert_eq!(draw_cascade(&cascade, &style), svg, "equal data give equal bytes");
        }
    }
}

#[test]
fn other_texts_hold_hostile_names_too() {
    for seed in 0..60 {
        let cascade = random_focus(seed);
        let graph = cascade_dot(&cascade);
        let lines = 4 + cascade.boxes.len() + 1;
        assert!(graph.lines().count() >= lines, "every box has a line");
        // Outside of quotes there is nothing but our own words.
        for line in graph.lines() {
            let bare = line.replace("\\\\", "").replace("\\\"", "");
            assert_eq!(bare.matches('"').count() % 2, 0, "{line}");
        }
        if let Ok(chart) = mermaid::cascade_flowchart(&cascade) {
            assert!(!chart.contains("<script") && !chart.contains("<b>"), "{chart}");
            assert!(chart.len() <= mermaid::BYTES_MAX);
        }
        let table = cascade_csv(&cascade);
        assert!(table.starts_with("what,name,"), "{table}");
    }
}

#[test]
fn a_flowchart_that_mermaid_would_refuse_is_refused_here() {
    let cascade = random_focus(50);
    assert!(cascade.boxes.len() > mermaid::BOXES_MAX);
    let error = mermaid::cascade_flowchart(&cascade).unwrap_err();
    assert_eq!((error.part, error.limit), (mermaid::LimitedPart::Boxes, mermaid::BOXES_MAX));
}

#[test]
fn random_simulations_can_be_drawn() {
    for seed in 0..10 {
        let features = if seed % 2 == 0 { Features::time() } else { Features::load() };
        let entry = scenario(seed, &features);
        let settings = Settings { stop: Stop::Trials(128), ..Settings::default() };
        let report = simulate_change(&entry.topology, &entry.change, &settings, &Silent);
        let cascade = cascade_report(&entry.topology, &report, &CascadeFilter::default());
        assert_eq!(
            cascade.boxes.len() + cascade.omitted + cascade.rarely_hit + cascade.untouched,
            {
                let domains = cascade
                    .boxes
                    .iter()
                    .filter(|item| report.services.iter().all(|of| of.name != item.name));
                report.services.len() + domains.count()
            }
        );
        parsed(&draw_cascade(&cascade, &ChartStyle::default()));
        for lanes in [TimelineLanes::Team, TimelineLanes::Zone, TimelineLanes::Tier] {
            if let Ok(svg) = draw_timeline(&report, &cascade, lanes, None, &ChartStyle::default()) {
                parsed(&svg);
            }
        }
        if let Ok(svg) = draw_losses(&report, &ChartStyle::default()) {
            parsed(&svg);
        }
    }
}

#[test]
fn the_threshold_rises_until_all_boxes_fit() {
    let (topology, report) = shop("zone-upgrade.yaml", 500);
    let lens = CascadeFilter { threshold: 0.001, boxes_max: 12, fold: Fold::Never, arrows: None };
    let cascade = cascade_report(&topology, &report, &lens);
    assert!(cascade.boxes.len() <= 12);
    assert_eq!((cascade.threshold_asked, cascade.omitted), (Some(0.001), 0));
    assert!(cascade.threshold > 0.001);
}

#[test]
fn of_what_is_hit_all_the_same_only_what_fails_most_is_drawn() {
    let (topology, report) = shop("zone-upgrade.yaml", 500);
    let cascade = cascade_report(
        &topology,
        &report,
        &CascadeFilter { threshold: 0.05, boxes_max: 5, fold: Fold::Never, arrows: None },
    );
    assert_eq!(cascade.boxes.len(), 5);
    assert_eq!((cascade.threshold, cascade.threshold_asked), (0.05, None));
    assert!(cascade.omitted > 0);
    let least = cascade.boxes.iter().map(|item| item.failed.p).fold(1.0, f64::min);
    let drawn = |name: &str| cascade.boxes.iter().any(|item| item.name == name);
    let others = report.services.iter().filter(|service| !drawn(&service.name));
    assert!(others.map(|other| other.caused.failed.p).fold(0.0, f64::max) <= least);
    let svg = draw_cascade(&cascade, &ChartStyle::default());
    assert!(svg.contains("hit too, which fail less often than those drawn"));
}

#[test]
fn a_picture_for_a_column_of_text_is_neither_wide_nor_endless() {
    for seed in [3, 8, 21] {
        let cascade = random_focus(seed);
        let style = ChartStyle { size: PageSize::Doc, ..ChartStyle::default() };
        let svg = draw_cascade(&cascade, &style);
        let size = |of: &str| -> f64 {
            parsed(&svg).root_element().attribute(of).unwrap().parse().unwrap()
        };
        assert!(
            size("width") <= 860.0 && size("height") <= 3000.0,
            "{seed}: {}x{}",
            size("width"),
            size("height")
        );
    }
}

#[test]
fn no_letter_is_below_nine_pixels_in_a_column_of_650() {
    let style = ChartStyle { size: PageSize::Doc, ..ChartStyle::default() };
    for seed in (0..40).chain([50, 250]) {
        let svg = draw_cascade(&random_focus(seed), &style);
        let document = parsed(&svg);
        let number = |node: &roxmltree::Node<'_, '_>, of: &str| -> Option<f64> {
            node.attribute(of)?.parse().ok()
        };
        let width = number(&document.root_element(), "width").unwrap();
        let sizes = document.descendants().filter_map(|node| number(&node, "font-size"));
        let least = sizes.fold(f64::INFINITY, f64::min);
        let shown = least * (650.0 / width).min(1.0);
        assert!(shown >= 9.0, "{seed}: letters of {least} in {width} pixels");
    }
}

/// A hub with so many callers, each called by two front ends of its own, in three teams.
fn star(callers: usize) -> (Topology, Report) {
    let mut text = "version: 1\ntopology: star\nservices:\n  hub: {}\n".to_owned();
    for index in 0..callers {
        let team = ["red", "green", "blue"][index % 3];
        text.push_str(&format!("  caller-{index}:\n    team: {team}\n    dependencies: [hub]\n"));
        for front in 0..2 {
            text.push_str(&format!(
                "  front-{index}-{front}:\n    dependencies: [caller-{index}]\n"
            ));
        }
    }
    let mut sources = Sources::default();
    let document = load::parse_document("star.yaml", text.into_bytes(), &mut sources).unwrap();
    let topology = Topology::from_document(&document).unwrap();
    let change = Change::from_breaks(&["hub".to_owned()], &topology, &mut sources).unwrap();
    let settings = Settings { stop: Stop::Trials(16), ..Settings::default() };
    let report = simulate_change(&topology, &change, &settings, &Silent);
    (topology, report)
}

#[test]
fn an_architecture_is_drawn_in_every_form_whatever_things_are_called() {
    let mut sources = Sources::default();
    let text = "version: 1\ntopology: shop\nservices:\n  'a<b&\"c\"':\n    team: t1\n    dependencies:\n    - mail\n    \
                - { service: db, criticality: soft }\n  db: { kind: database }\n  mail: { kind: external }\n\
                flows:\n  buy:\n    steps: ['a<b&\"c\"']\n";
    let document =
        load::parse_document("shop.yaml", text.as_bytes().to_vec(), &mut sources).unwrap();
    let topology = Topology::from_document(&document).unwrap();
    let drawn = Architecture::new(&topology, None, 25);
    assert_eq!((drawn.services, drawn.dependencies, drawn.links.len()), (3, 2, 3));
    for size in [PageSize::Doc, PageSize::Slide] {
        let svg = draw_architecture(&drawn, &ChartStyle { size, ..ChartStyle::default() });
        assert_eq!(names(&parsed(&svg), "bw-box", "data-name").len(), 4);
        assert_eq!(names(&parsed(&svg), "bw-edge", "data-from").len(), 3);
        assert_eq!(draw_architecture(&drawn, &ChartStyle { size, ..ChartStyle::default() }), svg);
    }
    let shapes = architecture_drawio(&drawn);
    let shapes = Document::parse(&shapes).unwrap();
    let ids: Vec<&str> = shapes.descendants().filter_map(|node| node.attribute("id")).collect();
    for edge in shapes.descendants().filter(|node| node.attribute("edge").is_some()) {
        let ends = ["source", "target"].map(|end| edge.attribute(end).unwrap());
        assert!(ends.iter().all(|end| ids.contains(end)), "an arrow follows its boxes");
    }
    let scene: serde_json::Value = serde_json::from_str(&architecture_excalidraw(&drawn)).unwrap();
    let elements = scene["elements"].as_array().unwrap();
    assert_eq!(elements.len(), 4 * 2 + 3);
    let ids: Vec<&str> = elements.iter().map(|element| element["id"].as_str().unwrap()).collect();
    for arrow in elements.iter().filter(|element| element["type"] == "arrow") {
        assert!(ids.contains(&arrow["endBinding"]["elementId"].as_str().unwrap()));
    }
    let chart = architecture_mermaid(&drawn).unwrap();
    assert!(!chart.contains("<b&"), "{chart}");
    assert!(chart.contains("-.->"), "soft calls are dashed: {chart}");
    let folded = Architecture::new(&topology, Some(Grouping::Team), 25);
    let boxes: Vec<&str> = folded.boxes.iter().map(|drawn| drawn.name.as_str()).collect();
    assert_eq!(boxes, ["buy", "no team", "team t1"]);
}

/// The services that boxes stand for.
fn service_count(cascade: &CascadeReport) -> usize {
    let count = |drawn: &CascadeBox| drawn.folded.as_ref().map_or(1, |folded| folded.names.len());
    cascade.boxes.iter().map(count).sum()
}

#[test]
fn a_thousand_services_fold_into_a_page_and_none_is_lost() {
    let (topology, report) = star(400);
    for boxes_max in [8, 25, 60] {
        let filter = CascadeFilter { boxes_max, ..CascadeFilter::default() };
        let cascade = cascade_report(&topology, &report, &filter);
        assert!(cascade.boxes.len() <= boxes_max, "{} boxes", cascade.boxes.len());
        assert_eq!(service_count(&cascade), 1201);
        assert_eq!(cascade.totals.fails, 1200, "counted from the result");
        assert_eq!(cascade.edges.len(), cascade.boxes.len() - 1, "one arrow for each box");
        let svg =
            draw_cascade(&cascade, &ChartStyle { size: PageSize::Doc, ..ChartStyle::default() });
        assert!(svg.contains("1,200 services fail in at least half of the trials"));
        let drawn = names(&parsed(&svg), "bw-box bw-fold", "data-members");
        assert!(!drawn.is_empty(), "a page can say whom a box stands for");
    }
}

#[test]
fn services_fold_by_team_and_the_rest_is_a_group_too() {
    let (topology, report) = star(30);
    let filter = CascadeFilter { fold: Fold::By(Grouping::Team), ..CascadeFilter::default() };
    let cascade = cascade_report(&topology, &report, &filter);
    let drawn: Vec<&str> = cascade.boxes.iter().map(|drawn| drawn.name.as_str()).collect();
    assert_eq!(drawn, ["hub", "team red", "team green", "team blue", "no team"]);
    assert_eq!(service_count(&cascade), 91);
}

#[test]
fn a_dense_cascade_shows_the_strongest_way_into_each_box_and_counts_the_others() {
    let mut cascade = random_focus(50);
    cascade.boxes.truncate(4);
    let call =
        |from, to, passed| CascadeEdge { from, to, kind: EdgeKind::Call, passed, held: Vec::new() };
    cascade.edges =
        vec![call(0, 1, 0.9), call(0, 2, 0.3), call(1, 2, 0.8), call(2, 1, 0.7), call(2, 3, 0.6)];
    for (index, drawn) in cascade.boxes.iter_mut().enumerate() {
        drawn.state = if index == 0 { BoxState::Origin } else { BoxState::Fails };
    }
    let single = with_one_arrow(&cascade);
    let ends: Vec<(usize, usize)> = single.edges.iter().map(|edge| (edge.from, edge.to)).collect();
    assert_eq!(ends, [(0, 1), (1, 2), (2, 3)]);
    assert_eq!(single.further_calls, 2);
    let svg = draw_cascade(&single, &ChartStyle::default());
    assert!(svg.contains("2 more calls carry failure too"), "{svg}");
}

/// Draws boxes that neither overlap nor are cut: their rectangles keep apart.
#[test]
fn no_box_of_a_cascade_overlaps_another() {
    let (topology, report) = star(120);
    let mut cascades: Vec<CascadeReport> = (0..30).map(random_focus).collect();
    cascades.push(cascade_report(&topology, &report, &CascadeFilter::default()));
    for (index, cascade) in cascades.iter().enumerate() {
        let size = [PageSize::Doc, PageSize::Slide][index % 2];
        let svg = draw_cascade(cascade, &ChartStyle { size, ..ChartStyle::default() });
        let document = parsed(&svg);
        let is_box = |node: &roxmltree::Node<'_, '_>| {
            node.attribute("class").is_some_and(|attribute| attribute.starts_with("bw-box"))
        };
        let rectangle = |group: roxmltree::Node<'_, '_>| {
            let first = group.children().find(|node| node.has_tag_name("rect")).unwrap();
            ["x", "y", "width", "height"]
                .map(|of| first.attribute(of).unwrap().parse::<f64>().unwrap())
        };
        let all: Vec<[f64; 4]> = document.descendants().filter(is_box).map(rectangle).collect();
        for (place, a) in all.iter().enumerate() {
            for b in &all[place + 1..] {
                let apart = a[0] + a[2] <= b[0]
                    || b[0] + b[2] <= a[0]
                    || a[1] + a[3] <= b[1]
                    || b[1] + b[3] <= a[1];
                assert!(apart, "picture {index}: {a:?} and {b:?}");
            }
        }
    }
}

#[test]
fn what_was_observed_is_laid_over_the_timeline() {
    let (topology, report) = shop("payments-v4.yaml", 500);
    let cascade = cascade_report(&topology, &report, &CascadeFilter::default());
    let text = "version: 1\nincident: friday\nobserved:\n- { service: payments, from: 5m, until: 50m }\n\
                - { service: search, state: degraded, from: 8m }\ndetected: 9m\nmitigated: 40m\n";
    let mut sources = Sources::default();
    let document =
        load::parse_document("friday.yaml", text.as_bytes().to_vec(), &mut sources).unwrap();
    let incident = Incident::from_document(&document, &topology, &sources).unwrap();
    let observed = ObservedReport::new(&incident, &topology);
    let style = ChartStyle::default();
    let svg =
        draw_timeline(&report, &cascade, TimelineLanes::Team, Some(&observed), &style).unwrap();
    let rows = names(&parsed(&svg), "bw-row", "data-name");
    assert!(rows.contains(&"search".to_owned()), "it is shown though it hardly fails: {rows:?}");
    assert!(svg.contains("friday"));
}

#[cfg(feature = "png")]
#[test]
fn a_png_has_the_size_it_should_and_is_refused_where_it_would_be_huge() {
    let svg = draw_cascade(
        &random_focus(3),
        &ChartStyle { theme: Theme::Light, ..ChartStyle::default() },
    );
    let document = parsed(&svg);
    let width: f64 = document.root_element().attribute("width").unwrap().parse().unwrap();
    let bytes = chart::render_png(&svg, 2.0, None).unwrap();
    assert_eq!(&bytes[..8], b"\x89PNG\r\n\x1a\n");
    let wide = u32::from_be_bytes(bytes[16..20].try_into().unwrap());
    assert_eq!(f64::from(wide), (width * 2.0).ceil());
    assert_eq!(
        chart::render_png(&svg, 2.0, None).unwrap(),
        bytes,
        "equal pictures give equal bytes"
    );
    assert!(chart::render_png(&svg, 20.0, None).is_err());
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

/// The web shop, and what a change does to it.
fn shop(change: &str, trials: u64) -> (Topology, Report) {
    let mut sources = Sources::default();
    let mut read = |path: &str| {
        let text = fs::read(root().join("topologies").join(path)).unwrap();
        load::parse_document(path, text, &mut sources).unwrap()
    };
    let topology = Topology::from_document(&read("webshop.yaml")).unwrap();
    let document = read(&format!("changes/webshop/{change}"));
    let change = Change::from_document(&document, &topology).unwrap();
    let settings = Settings { stop: Stop::Trials(trials), ..Settings::default() };
    let report = simulate_change(&topology, &change, &settings, &Silent);
    (topology, report)
}

/// Two architectures of which the second loses less, of a flow that nobody called critical.
#[test]
fn before_and_after_are_headed_by_what_differs() {
    let flow = |name: &str, critical: bool, failed: f64, lost: f64| CascadeFlow {
        name: name.to_owned(),
        title: None,
        critical,
        failed: interval(failed),
        degraded: interval(failed),
        failed_anyway: 0.0,
        orders_lost: Some(lost),
        outage_min: None,
        late: None,
    };
    let of = |flows: Vec<CascadeFlow>| CascadeReport {
        targets: vec!["db".to_owned()],
        mode: Some(FailureMode::Down),
        flows,
        ..random_focus(7)
    };
    let drawn = |before: Vec<CascadeFlow>, after: Vec<CascadeFlow>| {
        let svg = chart::draw_before_after(&of(before), &of(after), &ChartStyle::default());
        let document = parsed(&svg);
        let is_title = |node: &roxmltree::Node<'_, '_>| node.tag_name().name() == "title";
        let title = document.root_element().children().find(is_title);
        title.and_then(|title| title.text()).unwrap_or_default().to_owned()
    };
    let order = || flow("order", true, 0.5, 100.0);
    let title = drawn(vec![order(), flow("find", false, 0.9, 7.0)], vec![order()]);
    assert!(title.ends_with("find fails in 90% of trials before and under 5% after"), "{title}");
    let dear = |lost| vec![flow("find", false, 0.9, lost), order()];
    let title = drawn(dear(7.0), dear(3.0));
    assert!(title.ends_with("find loses 7 orders before and 3 after"), "{title}");
    let title = drawn(vec![order()], vec![order()]);
    assert!(title.ends_with("order loses 100 orders in both"), "{title}");
}

/// The pictures that the README shows, and how they are made again:
/// `UPDATE=1 cargo test --test it pictures::`, or the command beside them in the README.
#[test]
fn the_pictures_of_the_readme_are_current() {
    let (topology, report) = shop("zone-upgrade.yaml", 10_000);
    let style = ChartStyle { size: PageSize::Doc, ..ChartStyle::default() };
    let lens = CascadeFilter { boxes_max: PageSize::Doc.boxes_max(), ..CascadeFilter::default() };
    let cascade = cascade_report(&topology, &report, &lens);
    let drawn = [
        ("cascade.svg", draw_cascade(&cascade, &style)),
        (
            "timeline.svg",
            draw_timeline(&report, &cascade, TimelineLanes::Team, None, &style).unwrap(),
        ),
    ];
    for (name, svg) in drawn {
        let path = root().join(".github/pictures").join(name);
        assert_kept(&path, &svg);
    }
}
