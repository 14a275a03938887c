//! The HTML pages in a real browser, opened from files. Where there is none, this says so and passes.

use crate::support::{is_update, program};
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::html::page;
use crate::support::chromium::{Chromium, installed};

/// What is opened: a report of 40 services with hostile names, or one of the web shop.
#[derive(Clone, Copy)]
enum Report {
    Hostile,
    Shop,
}

/// A browser with a report, or nothing where there is none.
fn opened(report: Report) -> Option<(Chromium, tempfile::TempDir, String)> {
    let Some(browser) = installed() else {
        // Past the capture of tests: a reader must see what was left out.
        let mut error = std::io::stderr();
        error.write_all(b"left out: no Chromium, so no report was opened in a browser\n").unwrap();
        return None;
    };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("report.html");
    match report {
        Report::Hostile => fs::write(&file, page(40)).unwrap(),
        Report::Shop => {
            let shop = "webshop.yaml --change changes/webshop/zone-upgrade.yaml --trials 1000";
            blastwave(&format!("simulate {shop} --format html -o {}", file.display()));
        }
    }
    let mut chromium = Chromium::start(&browser, folder.path());
    let url = format!("file://{}", file.display());
    chromium.open(&url);
    Some((chromium, folder, url))
}

/// Runs a command beside the topologies.
fn blastwave(command: &str) {
    let output = program(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("topologies"))
        .args(command.split(' '))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(matches!(output.status.code(), Some(0 | 1 | 3)), "{command}: {said}");
}

/// The first cells of the rows of services that are shown.
fn shown(chromium: &mut Chromium) -> Vec<String> {
    let names = chromium.evaluate(
        "[...document.querySelectorAll('#bw-services tbody tr')].filter((it) => !it.hidden)\
         .map((it) => it.cells[0].textContent)",
    );
    let names = names.as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned());
    names.collect()
}

fn hash(chromium: &mut Chromium) -> String {
    chromium.evaluate("decodeURIComponent(location.hash)").as_str().unwrap().to_owned()
}

#[test]
fn a_report_answers_to_mouse_and_keyboard() {
    let Some((mut chromium, _folder, url)) = opened(Report::Shop) else { return };
    let item = &mut chromium;
    let all = shown(item).len();
    assert!(all > 15, "{all}");
    assert_eq!(item.evaluate("document.getElementById('bw-controls').hidden"), json!(false));

    // A service by its row, and another by its box; Escape and the button close.
    item.click("#bw-services tbody tr:nth-child(9) button");
    let first = item.text("#bw-panel h2");
    assert!(!first.is_empty() && hash(item).contains(&format!("s={first}")), "{first}");
    assert!(item.text("#bw-panel").contains("fails in"));
    item.press("Escape", 27, "");
    assert_eq!(item.evaluate("document.getElementById('bw-panel').hidden"), json!(true));
    item.click(".bw-box[data-name='orders'] rect");
    assert_eq!(item.text("#bw-panel h2"), "orders");
    assert!(item.evaluate("document.querySelectorAll('.bw-box.faint').length").as_u64() > Some(0));
    item.click("#bw-close");
    assert_eq!(item.evaluate("document.getElementById('bw-panel').hidden"), json!(true));

    // The same by keyboard: the panel has the focus while it is open, and gives it back.
    item.evaluate("document.querySelector('.bw-box[data-name=\"storefront\"]').focus()");
    item.press("Enter", 13, "\r");
    assert_eq!(item.text("#bw-panel h2"), "storefront");
    assert_eq!(item.evaluate("document.activeElement.id"), json!("bw-panel"));
    item.press("Escape", 27, "");
    assert_eq!(item.evaluate("document.activeElement.dataset.name"), json!("storefront"));

    // Filters: by probability with the keys of the slider, by flow, by what is typed.
    item.evaluate("document.getElementById('bw-min').focus()");
    item.press("End", 35, "");
    assert_eq!(item.text("#bw-min-out"), "100%");
    let certain = shown(item).len();
    assert!(certain < all, "{certain}");
    item.press("Home", 36, "");
    assert_eq!(shown(item).len(), all);
    item.evaluate(
        "(() => { const it = document.getElementById('bw-flow'); it.value = '0'; \
         it.dispatchEvent(new Event('input')); })()",
    );
    let over = shown(item);
    assert!(!over.is_empty() && over.len() < all && hash(item).contains("flow=0"), "{over:?}");
    item.evaluate(
        "(() => { const it = document.getElementById('bw-flow'); it.value = ''; \
         it.dispatchEvent(new Event('input')); document.getElementById('bw-q').focus(); })()",
    );
    item.call("Input.insertText", &json!({ "text": "INVENT" }));
    assert_eq!(shown(item), ["inventory"]);
    assert!(item.text("#bw-status").contains(&format!("1 of {all} rows shown")));

    // Sorting, there and back.
    item.open(&url);
    for (direction, is_up) in [("ascending", true), ("descending", false)] {
        item.click("#bw-services thead th:first-child button");
        let sorted = item.evaluate("document.querySelector('#bw-services th[aria-sort]').ariaSort");
        assert_eq!(sorted, json!(direction));
        let names: Vec<String> = shown(item).iter().map(|name| name.to_lowercase()).collect();
        assert!(names.is_sorted_by(|a, b| if is_up { a <= b } else { a >= b }), "{names:?}");
    }
    assert_eq!(item.complaints(), [""; 0]);
}

#[test]
fn a_report_replays_and_keeps_what_is_shown_in_its_address() {
    let Some((mut chromium, _folder, url)) = opened(Report::Shop) else { return };
    let entry = &mut chromium;
    let all = shown(entry).len();
    entry.evaluate("document.getElementById('bw-t').focus()");
    entry.press("Home", 36, "");
    entry.press("PageUp", 33, "");
    assert!(entry.text("#bw-t-out").starts_with('+'), "{}", entry.text("#bw-t-out"));
    assert!(entry.text("#bw-services thead").contains("failed by then"));
    let early = entry.text("#bw-services tbody tr:first-child td:last-child");
    entry.press("End", 35, "");
    assert_eq!(entry.text("#bw-t-out"), "all of it");
    assert_ne!(entry.text("#bw-services tbody tr:first-child td:last-child"), early);
    // It plays to the end by itself, in a few large steps for who wants no motion.
    entry.emulate("", &[("prefers-reduced-motion", "reduce")]);
    entry.click("#bw-play");
    assert_eq!(entry.text("#bw-play"), "Stop");
    entry.wait(|item| item.text("#bw-t-out") != "+0.0 s");
    entry.click("#bw-play");
    assert_eq!(entry.text("#bw-play"), "Play");

    entry.open(&format!("{url}#s=orders&t=500&min=10&q=r&sort=bw-services.0.-1"));
    assert_eq!(entry.text("#bw-panel h2"), "orders");
    assert_eq!(entry.text("#bw-min-out"), "10%");
    assert!(entry.text("#bw-panel").contains("failed by"));
    let names = shown(entry);
    assert!(names.len() > 1 && names.is_sorted_by(|a, b| a >= b), "{names:?}");
    // What is nonsense in an address is not obeyed.
    entry.open(&format!("{url}#s=%3Cimg%3E&t=NaN&min=-5&flow=99&sort=x.y.z"));
    assert_eq!(shown(entry).len(), all);
    assert_eq!(entry.complaints(), [""; 0]);
}

/// How light a color is that CSS writes as `rgb(r, g, b)`.
fn lightness(color: &Value) -> f64 {
    let color = color.as_str().unwrap();
    let parts = color.trim_start_matches(|c| c != '(').trim_matches(['(', ')']).split(", ");
    let parts: Vec<f64> = parts.take(3).map(|part| part.parse().unwrap()).collect();
    parts.iter().sum::<f64>() / 3.0
}

#[test]
fn a_report_turns_dark_can_be_printed_and_reads_without_its_script() {
    let Some((mut chromium, _folder, url)) = opened(Report::Hostile) else { return };
    let item = &mut chromium;
    let paper = "getComputedStyle(document.body).backgroundColor";
    let text = "getComputedStyle(document.querySelector('#cascade svg text')).fill";
    assert!(lightness(&item.evaluate(paper)) > 200.0 && lightness(&item.evaluate(text)) < 100.0);
    item.emulate("", &[("prefers-color-scheme", "dark")]);
    assert!(lightness(&item.evaluate(paper)) < 60.0 && lightness(&item.evaluate(text)) > 150.0);

    item.emulate("print", &[("prefers-color-scheme", "light")]);
    let display = "getComputedStyle(document.getElementById('bw-controls')).display";
    assert_eq!(item.evaluate(display), json!("none"));
    let printed = item.call("Page.printToPDF", &json!({}));
    assert!(printed["data"].as_str().unwrap().starts_with("JVBERi"), "it is a PDF");
    assert_eq!(item.complaints(), [""; 0]);

    item.emulate("", &[]);
    item.call("Emulation.setScriptExecutionDisabled", &json!({ "value": true }));
    item.open(&url);
    assert_eq!(item.evaluate(display), json!("none"), "controls that do nothing are not shown");
    assert_eq!(
        item.evaluate("document.querySelectorAll('#bw-services tbody tr').length"),
        json!(40)
    );
    assert!(item.evaluate("document.body.innerText.includes('service-39')") == json!(true));
}

/// How many pixels of a screenshot become one of what is compared, either way.
const COARSE: usize = 8;

/// A screenshot made coarse, so that how a machine draws letters hardly matters: its size in blocks, and
/// their colors.
fn coarse(png: &[u8]) -> (usize, usize, Vec<u8>) {
    let mut reader = png::Decoder::new(std::io::Cursor::new(png)).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut pixels).unwrap();
    let channels = info.color_type.samples();
    let (width, height) = (info.width as usize / COARSE, info.height as usize / COARSE);
    let mut blocks = Vec::with_capacity(width * height * 3);
    for (row, column) in (0..height).flat_map(|row| (0..width).map(move |column| (row, column))) {
        for channel in 0..3 {
            let inner = (0..COARSE).flat_map(|y| (0..COARSE).map(move |x| (y, x)));
            let sum: usize = inner
                .map(|(y, x)| {
                    let at = (row * COARSE + y) * info.line_size + (column * COARSE + x) * channels;
                    pixels[at + channel] as usize
                })
                .sum();
            blocks.push((sum / (COARSE * COARSE)) as u8);
        }
    }
    (width, height, blocks)
}

fn write_png(path: &Path, width: usize, height: usize, blocks: &[u8]) {
    let mut encoder =
        png::Encoder::new(fs::File::create(path).unwrap(), width as u32, height as u32);
    encoder.set_color(png::ColorType::Rgb);
    encoder.write_header().unwrap().write_image_data(blocks).unwrap();
}

fn read_png(path: &Path) -> Vec<u8> {
    let file = std::io::BufReader::new(fs::File::open(path).unwrap());
    let mut reader = png::Decoder::new(file).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    reader.next_frame(&mut pixels).unwrap();
    pixels
}

/// `UPDATE=1 cargo test --test it browser::` keeps what is seen now: look at it before you commit it.
#[test]
fn a_report_looks_as_it_did() {
    let Some((mut chromium, _folder, _)) = opened(Report::Hostile) else { return };
    for theme in ["light", "dark"] {
        chromium.emulate("", &[("prefers-color-scheme", theme)]);
        let (width, height, blocks) = coarse(&chromium.picture("#cascade svg"));
        let kept = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/it/files")
            .join(format!("cascade-{theme}.png"));
        if is_update() {
            write_png(&kept, width, height, &blocks);
        }
        let known = read_png(&kept);
        assert_eq!(known.len(), blocks.len(), "{theme}: another size ({width}x{height} blocks)");
        let apart: Vec<u8> = known.iter().zip(&blocks).map(|(a, b)| a.abs_diff(*b)).collect();
        let mean = apart.iter().map(|apart| f64::from(*apart)).sum::<f64>() / apart.len() as f64;
        let far = apart.iter().filter(|apart| **apart > 80).count() as f64 / apart.len() as f64;
        assert!(mean < 5.0 && far < 0.01, "{theme}: {mean:.1} apart on average, {far:.3} far off");
    }
}

#[test]
fn every_kind_of_page_opens_without_complaint() {
    let Some((mut chromium, folder, _)) = opened(Report::Hostile) else { return };
    let shop = "webshop.yaml --change changes/webshop/payments-v4.yaml --trials 256";
    let pair = "comparisons/active-passive.yaml comparisons/active-active.yaml";
    let pages = [
        ("simulate", format!("simulate {shop} --format html"), "#cascade svg"),
        ("check", format!("check {shop} --max-trials 1000 --format html"), "h1 + ul code"),
        ("rank", "rank webshop.yaml --trials 64 --format html".to_owned(), "#heat svg"),
        (
            "compare",
            format!(
                "compare {pair} --change comparisons/changes/region-a-network.yaml --trials 256 --format html"
            ),
            "#cascade svg",
        ),
        ("diagram", format!("diagram {shop}"), "#tornado svg"),
        (
            "review",
            "diagram --incident incidents/slack-2022-02-22/incident.yaml --trials 256".to_owned(),
            "#compared table",
        ),
    ];
    for (name, command, selector) in pages {
        let file = folder.path().join(format!("{name}.html"));
        blastwave(&format!("{command} -o {}", file.display()));
        chromium.open(&format!("file://{}", file.display()));
        let found = chromium.evaluate(&format!("document.querySelectorAll('{selector}').length"));
        assert!(found.as_u64() > Some(0), "{name}: no {selector}");
        assert_eq!(chromium.complaints(), [""; 0], "{name}");
        let ids = "[...document.querySelectorAll('[id]')].map((it) => it.id)";
        let count = chromium.evaluate(&format!("{ids}.length - new Set({ids}).size"));
        assert_eq!(count, json!(0), "{name}: names of elements are given twice");
    }
}
