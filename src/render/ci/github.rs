//! Annotations of a GitHub workflow: one command on each line, which the runner puts beside the code.
//!
//! `::error file=F,line=L,endLine=M,col=C,endColumn=D,title=T::MESSAGE`. In a message `%`, CR and LF are
//! escaped, in a property also `:` and `,`.

use super::findings::{self, Finding, FindingLevel};
use super::uri;
use crate::prose::escape::harmless_name;
use crate::render::text::render_short;
use crate::report::Decision;
use crate::report::{Problem, Report};

/// A check as annotations; the verdict last.
pub fn render_annotations(report: &Report) -> String {
    let mut text: String = findings::of_report(report).iter().map(annotation_line).collect();
    let decision = report.verdict.as_ref().map(|verdict| verdict.decision);
    let command = match decision {
        Some(Decision::Stop) => "error",
        Some(Decision::Caution) => "warning",
        Some(Decision::Proceed) | None => "notice",
    };
    let decision = decision.map_or("done", Decision::as_str);
    let title = escaped_property(&format!("blastwave: {decision}"));
    let said = render_short(report);
    text.push_str(&format!("::{command} title={title}::{}\n", escaped_message(said.trim_end())));
    text
}

/// Problems of input files as annotations.
pub fn render_problems(problems: &[Problem]) -> String {
    findings::of_problems(problems).iter().map(annotation_line).collect()
}

fn annotation_line(finding: &Finding) -> String {
    let command = match finding.level {
        FindingLevel::Error => "error",
        FindingLevel::Warning => "warning",
        FindingLevel::Note => "notice",
    };
    let mut properties = Vec::new();
    // Standard input and arguments have no line to be shown beside.
    if let Some(place) = finding.places.iter().find(|place| uri::is_file(&place.file)) {
        // The runner knows files by their path from the repository, without `./`.
        let file = place.file.strip_prefix("./").unwrap_or(&place.file);
        properties.push(format!("file={}", escaped_property(file)));
        properties.push(format!("line={}", place.line));
        properties.push(format!("endLine={}", place.end_line));
        // Columns mean something only within a line.
        if place.line == place.end_line {
            properties.push(format!("col={}", place.column));
            properties.push(format!("endColumn={}", place.end_column));
        }
    }
    // A name could otherwise end the property and begin another.
    properties.push(format!("title={}", escaped_property(&harmless_name(&finding.title))));
    format!(
        "::{command} {}::{}\n",
        properties.join(","),
        escaped_message(&harmless_name(&finding.text))
    )
}

fn escaped_message(text: &str) -> String {
    // `%` comes first: it would escape the escapes of the others.
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn escaped_property(text: &str) -> String {
    escaped_message(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::PlaceReport;

    #[test]
    fn what_would_end_a_command_or_a_property_is_escaped() {
        let place = PlaceReport {
            file: "./a,b:c.yaml".to_owned(),
            line: 3,
            column: 1,
            end_line: 3,
            end_column: 5,
            text: String::new(),
        };
        let finding = Finding {
            id: "x".to_owned(),
            title: "50%: a, b".to_owned(),
            level: FindingLevel::Error,
            text: "100% of a::b, c".to_owned(),
            key: String::new(),
            places: vec![place],
        };
        assert_eq!(
            annotation_line(&finding),
            "::error file=a%2Cb%3Ac.yaml,line=3,endLine=3,col=1,endColumn=5,\
             title=50%25%3A a%2C b::100%25 of a::b, c\n"
        );
        assert_eq!(escaped_message("a\r\nb"), "a%0D%0Ab");
    }
}
