//! SARIF 2.1.0, the format in which tools tell code hosts what they found and where.
//!
//! Static Analysis Results Interchange Format, OASIS Standard with errata 01 (2023). Every rule or
//! limit that does not hold is a result at the line that could be edited, every protection that is not
//! stated a note. Columns count Unicode code points, as all places here do.

use serde_json::{Map, Value, json};

use super::{findings, uri};
use crate::prose::escape;
use crate::report::{PlaceReport, Problem, Report};
use findings::{Finding, FindingLevel};

const SCHEMA: &str =
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

/// A check as SARIF.
pub fn render_sarif(report: &Report) -> String {
    let found = findings::of_report(report);
    let decision = report.verdict.as_ref().map(|verdict| verdict.decision);
    let properties = json!({
        "topology": report.topology,
        "change": report.change,
        "decision": decision,
        "trials": report.trials,
        "seed": report.seed,
    });
    sarif_log(&found, &report.tool_version, Some(properties))
}

/// Problems of input files as SARIF.
pub fn render_problems(problems: &[Problem]) -> String {
    sarif_log(&findings::of_problems(problems), env!("CARGO_PKG_VERSION"), None)
}

fn sarif_log(found: &[Finding], version: &str, properties: Option<Value>) -> String {
    let mut ids: Vec<&Finding> = Vec::new();
    for item in found {
        // Each id once, in the order of its first use: `ruleIndex` counts in this list.
        if ids.iter().all(|known| known.id != item.id) {
            ids.push(item);
        }
    }
    let rules: Vec<Value> = ids
        .iter()
        .map(|ids| json!({ "id": escape::visible(&ids.id, false), "shortDescription": { "text": escape::sarif_message(&ids.title) } }))
        .collect();
    let results: Vec<Value> = found
        .iter()
        .map(|found| {
            let index = ids.iter().position(|known| known.id == found.id);
            sarif_result(found, index.expect("every finding has its id among them"))
        })
        .collect();
    let mut run = json!({
        "tool": { "driver": { "name": "blastwave", "version": version, "rules": rules } },
        "columnKind": "unicodeCodePoints",
        "results": results,
    });
    if let (Some(properties), Some(run)) = (properties, run.as_object_mut()) {
        run.insert("properties".to_owned(), properties);
    }
    let log = json!({ "$schema": SCHEMA, "version": "2.1.0", "runs": [run] });
    let mut text = serde_json::to_string_pretty(&log).expect("texts and numbers can be written");
    text.push('\n');
    text
}

fn sarif_result(finding: &Finding, index: usize) -> Value {
    let level = match finding.level {
        FindingLevel::Error => "error",
        FindingLevel::Warning => "warning",
        FindingLevel::Note => "note",
    };
    // More than one location would say that all of them must be edited; the others only belong to
    // it.
    let mut places = finding.places.iter().filter_map(sarif_location);
    let first: Vec<Value> = places.next().into_iter().collect();
    let related: Vec<Value> = places.collect();
    let mut result = json!({
        "ruleId": escape::visible(&finding.id, false),
        "ruleIndex": index,
        "level": level,
        "message": { "text": escape::sarif_message(&finding.text) },
        "locations": first,
        "partialFingerprints": { "blastwave/v1": finding.key },
    });
    if let (false, Some(result)) = (related.is_empty(), result.as_object_mut()) {
        result.insert("relatedLocations".to_owned(), related.into());
    }
    result
}

/// A place in a file; standard input and arguments are none.
fn sarif_location(place: &PlaceReport) -> Option<Value> {
    let uri = uri::of_file(&place.file)?;
    let mut location = Map::new();
    location.insert(
        "physicalLocation".to_owned(),
        json!({
            "artifactLocation": { "uri": uri },
            "region": {
                "startLine": place.line,
                "startColumn": place.column,
                "endLine": place.end_line,
                "endColumn": place.end_column,
            },
        }),
    );
    if !place.text.is_empty() {
        location
            .insert("message".to_owned(), json!({ "text": escape::sarif_message(&place.text) }));
    }
    Some(location.into())
}
