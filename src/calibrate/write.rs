//! Writes figures into a topology. All else in it stays as it is: comments, order, style.

use super::figures::{Calibration, MIN_ROWS};
use super::record::Records;
use crate::diagnostic::Sources;
use crate::load::edit::{Edit, EditAction, EditPlace, apply_edits};
use crate::load::{Document, Node, Value};
use crate::model::Seconds;
use crate::prose::format;
use crate::summary::estimate::Estimate;
use crate::summary::lognormal::LognormalFit;

/// A topology with figures of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// The new text.
    pub text: String,
    /// Figures that were written, one line each.
    pub changes: Vec<String>,
    /// Figures that could not be written, one line each, with the reason.
    pub refused: Vec<String>,
}

/// Writes figures into the text of a topology: those that stand on enough rows.
pub fn write_figures(
    document: &Document,
    text: &str,
    records: &Records,
    calibration: &Calibration,
) -> Written {
    let tables = records.tables.join(", ");
    let changes = format!("{} days, {tables}", calibration.change_days.ceil());
    let outages = format!("{} days, {tables}", calibration.outage_days.ceil());
    let mut writer = FigureWriter {
        text: text.to_owned(),
        changes: Vec::new(),
        refused: Vec::new(),
        has_services: document.root.get("services").is_some(),
    };
    let group = &calibration.group;
    if group.changes >= MIN_ROWS {
        writer.prepare_defaults();
        let path = ["defaults", "change"];
        let (value, source) = probability_text(group.failure, group.failed, group.changes);
        writer.set_value(&path, "failure_probability", &value, &format!("{source}, {changes}"));
        writer.set_delay(&path, "detection", group.detection.as_ref(), &changes);
        writer.set_delay(&path, "rollback", group.rollback.as_ref(), &changes);
    }
    for figures in &calibration.services {
        let path = ["services", figures.service.as_str()];
        if figures.changes >= MIN_ROWS
            && let Some(failure) = figures.failure
        {
            let (value, source) = probability_text(failure, figures.failed, figures.changes);
            writer.set_value(&path, "failure_probability", &value, &format!("{source}, {changes}"));
        }
        writer.set_delay(&path, "detection", figures.detection.as_ref(), &changes);
        writer.set_delay(&path, "rollback", figures.rollback.as_ref(), &changes);
        if let Some(availability) = figures.availability {
            let source = format!(
                "{} outages, 95%: {} to {}, {outages}",
                figures.outages,
                fine_share(availability.low),
                fine_share(availability.high)
            );
            writer.set_value(&path, "availability", &fine_share(availability.p), &source);
        }
        writer.set_delay(&path, "mttr", figures.mttr.as_ref(), &outages);
    }
    let FigureWriter { text, changes, refused, .. } = writer;
    Written { text, changes, refused }
}

struct FigureWriter {
    text: String,
    changes: Vec<String>,
    refused: Vec<String>,
    has_services: bool,
}

impl FigureWriter {
    /// Makes places for defaults of changes, where there are none.
    fn prepare_defaults(&mut self) {
        let document = self.document();
        let Some(defaults) = document.root.get("defaults") else {
            self.edit(&[], "defaults", "{ change: {} }");
            return;
        };
        if defaults.get("change").is_none() {
            self.edit(&["defaults"], "change", "{}");
        }
    }

    fn document(&self) -> Document {
        crate::load::parse_document(
            "edited",
            self.text.clone().into_bytes(),
            &mut Sources::default(),
        )
        .expect("every edit was read again")
    }

    /// Sets a delay: within what is there, where that says more than how long it takes.
    fn set_delay(&mut self, path: &[&str], key: &str, fit: Option<&LognormalFit>, record: &str) {
        let Some(fit) = fit else { return };
        let (median, p95) = (delay_text(fit.median.value), delay_text(fit.p95.value));
        let open =
            if fit.open > 0 { format!(" and {} still open", fit.open) } else { String::new() };
        let source = format!(
            "{} rows{open}, median 95%: {} to {}, {record}",
            fit.over,
            delay_text(fit.median.low),
            delay_text(fit.median.high)
        );
        let within: Vec<&str> = path.iter().copied().chain([key]).collect();
        let is_mapping = {
            let document = self.document();
            let found = within.iter().try_fold(&document.root, |node: &Node, key| node.get(key));
            found.is_some_and(|node| matches!(node.value, Value::Mapping(_)))
        };
        if is_mapping {
            // First the one that may not fall below the other.
            let is_set = self.edit(&within, "p95", &p95) && self.edit(&within, "median", &median);
            self.note(is_set, &within, &format!("{{ median: {median}, p95: {p95} }}"), &source);
        } else {
            let value = format!("{{ median: {median}, p95: {p95} }}");
            self.set_value(path, key, &value, &source);
        }
    }

    /// Sets a key, with a comment that says where the value is from if there is a place for one.
    fn set_value(&mut self, path: &[&str], key: &str, value: &str, source: &str) {
        let source = source.replace(['\n', '\r'], " ");
        let with_source = format!("{value}  # source: {source}");
        let is_set = self.edit(path, key, &with_source) || self.edit(path, key, value);
        self.drop_older_source(&with_source);
        let within: Vec<&str> = path.iter().copied().chain([key]).collect();
        self.note(is_set, &within, value, &source);
    }

    /// Takes the source of an earlier calibration out of a line: an edit leaves comments as they are.
    fn drop_older_source(&mut self, with_source: &str) {
        let Some(at) = self.text.find(with_source) else { return };
        let from = at + with_source.len();
        let end = self.text[from..].find(['\n', '\r']).map_or(self.text.len(), |end| from + end);
        if self.text[from..end].trim_start().starts_with("# source: ") {
            self.text.replace_range(from..end, "");
        }
    }

    fn note(&mut self, is_set: bool, path: &[&str], value: &str, source: &str) {
        let path = path.join(".");
        if is_set {
            self.changes.push(format!("~ {path}: {value} ({source})"));
        } else {
            let why = "it is written in a form that cannot be edited on its own";
            self.refused.push(format!("{path}: {value}: {why}"));
        }
    }

    /// Sets a key and returns whether that could be done.
    fn edit(&mut self, path: &[&str], key: &str, value: &str) -> bool {
        if !self.has_services {
            return false;
        }
        let edit = Edit {
            path: path.iter().map(|key| EditPlace::Key((*key).to_owned())).collect(),
            action: EditAction::Set { key: key.to_owned(), value: value.to_owned(), short: None },
        };
        match apply_edits(&self.text, &[edit]) {
            Ok(text) => {
                self.text = text;
                true
            }
            Err(_) => false,
        }
    }
}

fn probability_text(estimate: Estimate, failed: u64, changes: u64) -> (String, String) {
    let source = format!(
        "{failed} of {changes} changes failed, 95%: {} to {}",
        share_text(estimate.low),
        share_text(estimate.high)
    );
    (share_text(estimate.p), source)
}

/// A share with three digits that count.
pub(super) fn share_text(share: f64) -> String {
    let percent = share * 100.0;
    // A rate that was never seen is small, and not 0: with 0% nothing could ever break.
    #[expect(clippy::cast_sign_loss, reason = "it is at least 0")]
    let digits = (2.0 - libm::floor(libm::log10(percent.max(1e-9)))).clamp(0.0, 12.0) as usize;
    let text = format!("{percent:.digits$}");
    let text =
        if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{text}%")
}

/// A share close to 1, with as many digits as what is missing has that count.
pub(super) fn fine_share(share: f64) -> String {
    let missing = ((1.0 - share) * 100.0).max(1e-9);
    #[expect(clippy::cast_sign_loss, reason = "it is at least 0")]
    let digits = (2.0 - libm::floor(libm::log10(missing))).clamp(0.0, 10.0) as usize;
    let text = format!("{:.digits$}", share * 100.0);
    let text =
        if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{text}%")
}

/// A duration with three digits that count, as a topology has it.
pub(super) fn delay_text(seconds: f64) -> String {
    let rounded = if seconds < 60.0 {
        (seconds * 10.0).round() / 10.0
    } else if seconds < 3600.0 {
        seconds.round()
    } else {
        (seconds / 60.0).round() * 60.0
    };
    Seconds::new(rounded.max(0.1)).map_or_else(
        || "1s".to_owned(),
        |seconds| {
            if seconds.get() >= 3600.0 && (seconds.get() / 3600.0).fract() != 0.0 {
                format!("{}m", seconds.get() / 60.0)
            } else if seconds.get() >= 60.0 && (seconds.get() / 60.0).fract() != 0.0 {
                format!("{}s", seconds.get())
            } else {
                seconds.to_string()
            }
        },
    )
}

/// Returns a number of things with its noun.
pub(super) fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{} {}", format::count(count as f64), if count == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_three_digits_and_what_is_rare_is_not_nothing() {
        for (share, text) in
            [(0.25, "25%"), (0.083_34, "8.33%"), (1.0, "100%"), (3.4e-7, "0.000034%"), (0.1, "10%")]
        {
            assert_eq!(share_text(share), text);
        }
        assert_eq!(
            (fine_share(0.999_43), fine_share(0.5)),
            ("99.943%".to_owned(), "50%".to_owned())
        );
        for (seconds, text) in [(0.25, "300ms"), (347.2, "347s"), (3600.0, "1h"), (3660.0, "61m")] {
            assert_eq!(delay_text(seconds), text);
        }
    }
}
