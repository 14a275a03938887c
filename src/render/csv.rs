//! Tables for spreadsheets: comma-separated with a header, quoted where needed (RFC 4180, but lines end
//! in `\n`).

use crate::report::{AdviseReport, RankReport};

/// Returns advice as a table: one row for each protection in each list.
pub fn advice_csv(report: &AdviseReport) -> String {
    let mut text = "list,rank,kind,at,what,steps,cost,saved,saved_low,saved_high,saved_per_cost,\
                    saved_per_cost_low,saved_per_cost_high,saved_share,left\n"
        .to_owned();
    let until = report.until.as_ref().map_or(&[][..], |until| until.steps.as_slice());
    for (list, rows) in
        [("alone", &report.alone[..]), ("together", &report.together), ("until", until)]
    {
        for (rank, row) in rows.iter().enumerate() {
            let quoted = [list, &(rank + 1).to_string(), row.kind.as_str(), &row.at, &row.what]
                .map(quoted_field);
            let (saved, per) = (&row.saved, &row.saved_per_cost);
            let numbers = [
                row.cost,
                saved.value,
                saved.low,
                saved.high,
                per.value,
                per.low,
                per.high,
                row.saved_share,
                row.left,
            ];
            let numbers = numbers.map(|number| number.to_string()).join(",");
            text.push_str(&format!("{},{},{numbers}\n", quoted.join(","), row.steps));
        }
    }
    // What is lost in the noise is named without figures, so that nobody sorts by numbers that mean
    // nothing.
    for (rank, noise) in report.noise.iter().enumerate() {
        let cells = ["noise", &(rank + 1).to_string(), noise.kind.as_str(), &noise.at, &noise.what]
            .map(quoted_field);
        text.push_str(&format!("{},,,,,,,,,,\n", cells.join(",")));
    }
    text
}

/// Returns the matrix of a ranking: a row for each origin, a column for each flow, the share of trials in
/// which the flow fails.
pub fn rank_csv(report: &RankReport) -> String {
    let mut text = String::from("origin");
    for flow in &report.matrix.flows {
        text.push(',');
        text.push_str(&quoted_field(flow));
    }
    text.push('\n');
    for (origin, shares) in report.matrix.origins.iter().zip(&report.matrix.failed) {
        text.push_str(&quoted_field(origin));
        for share in shares {
            text.push_str(&format!(",{share}"));
        }
        text.push('\n');
    }
    text
}

/// Returns a field; one that a spreadsheet would take for a formula starts with an apostrophe.
fn quoted_field(field: &str) -> String {
    let field = if field.starts_with(['=', '+', '-', '@']) {
        format!("'{field}")
    } else {
        field.to_owned()
    };
    if field.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_quoted_where_they_must_be() {
        assert_eq!(quoted_field("payments"), "payments");
        assert_eq!(quoted_field("a,\"b\""), "\"a,\"\"b\"\"\"");
        assert_eq!(quoted_field("=1+1"), "'=1+1");
    }
}
