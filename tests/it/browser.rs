//! The HTML report in a real browser, opened from a file: Debian's Chromium, without a window. Where
//! there is none, this says so and passes.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::html::page;

/// A browser may take this long before it counts as stuck.
const PATIENCE: Duration = Duration::from_secs(120);

fn browser() -> Option<PathBuf> {
    let folders = std::env::var_os("PATH")?;
    let names = ["chromium", "chromium-browser", "google-chrome"];
    std::env::split_paths(&folders)
        .flat_map(|folder| names.map(|name| folder.join(name)))
        .find(|path| path.is_file())
}

/// What the page has become once its script has run, and what the browser complained of.
fn opened(browser: &Path, folder: &Path, hash: &str) -> (String, String) {
    let (out, err) = (folder.join("out"), folder.join("err"));
    let mut running = Command::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr"])
        .args(["--virtual-time-budget=2000", "--dump-dom"])
        .arg(format!("--user-data-dir={}", folder.join("profile").display()))
        .arg(format!("file://{}#{hash}", folder.join("report.html").display()))
        .stdin(Stdio::null())
        .stdout(File::create(&out).unwrap())
        .stderr(File::create(&err).unwrap())
        .spawn()
        .unwrap();
    let step = Duration::from_millis(50);
    let mut waited = Duration::ZERO;
    while running.try_wait().unwrap().is_none() {
        if waited >= PATIENCE {
            running.kill().unwrap();
            running.wait().unwrap();
            panic!("the browser does not end");
        }
        std::thread::sleep(step);
        waited += step;
    }
    let said = String::from_utf8_lossy(&fs::read(&err).unwrap()).into_owned();
    let complaints = said.lines().filter(|line| line.contains("CONSOLE"));
    let complaints = complaints.collect::<Vec<_>>().join("\n");
    (String::from_utf8_lossy(&fs::read(&out).unwrap()).into_owned(), complaints)
}

/// The cells of the table of services that are shown, first column only.
fn shown(dom: &str) -> Vec<&str> {
    let table = dom.split("<table id=\"bw-services\">").nth(1).unwrap();
    let table = table.split("</table>").next().unwrap();
    let rows = table.split("<tr").skip(2).filter(|row| !row.starts_with(" hidden"));
    rows.filter_map(|row| row.split("<bdi>").nth(1)?.split("</bdi>").next()).collect()
}

#[test]
fn a_report_answers_in_a_browser() {
    let Some(browser) = browser() else {
        // Past the capture of tests: a reader must see what was left out.
        let mut error = std::io::stderr();
        error.write_all(b"left out: no Chromium, so no report was opened in a browser\n").unwrap();
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("report.html"), page(40)).unwrap();
    let open = |hash: &str| {
        let (dom, complaints) = opened(&browser, folder.path(), hash);
        assert!(complaints.is_empty(), "#{hash}: {complaints}");
        dom
    };
    let plain = open("");
    assert!(plain.contains("40 of 40 rows shown"), "the script did not run");
    assert!(plain.contains("role=\"button\""), "nothing can be clicked");
    assert_eq!(shown(&plain).len(), 40);

    let chosen = open("s=service-8&t=500&min=10&sort=bw-services.0.-1");
    assert!(chosen.contains("<h2><bdi>service-8</bdi></h2>"), "no panel");
    assert!(chosen.contains("failed by then") && chosen.contains("in at least half of the trials"));
    assert!(chosen.contains("aria-sort=\"descending\""));
    let names: Vec<String> = shown(&chosen).iter().map(|name| name.to_lowercase()).collect();
    assert!(!names.is_empty() && names.is_sorted_by(|a, b| a >= b), "{names:?}");

    let searched = open("q=service-17");
    assert_eq!(shown(&searched), ["service-17"]);
}
