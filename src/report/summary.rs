//! Shorter reports, for readers who pay for every word: lists are cut, and the cuts are counted.

use serde::{Deserialize, Serialize};

use super::{AdviseReport, ExplainReport, Report, RuleOutcome, StructureReport, UnitReport};

/// How many entries of a list a summary keeps.
const KEPT: usize = 3;

/// How many services a summary of a topology keeps: who asks for some by name gets them all.
const SERVICES_KEPT: usize = 20;

/// A list that a summary has shortened, or a field that it has left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct OmittedReport {
    /// The name of the field.
    pub list: String,
    /// How many entries of the list are left out, or how often the field is.
    pub count: u64,
}

/// Counts what is left out.
#[derive(Default)]
struct Omissions {
    omitted: Vec<OmittedReport>,
}

impl Omissions {
    /// Keeps the first entries of a list.
    fn cut<T>(&mut self, list: &str, entries: &mut Vec<T>, kept: usize) {
        let count = entries.len().saturating_sub(kept) as u64;
        entries.truncate(kept);
        self.count_omitted(list, count);
    }

    /// Leaves a field out.
    fn drop<T>(&mut self, field: &str, value: &mut Option<T>) {
        self.count_omitted(field, u64::from(value.take().is_some()));
    }

    fn count_omitted(&mut self, list: &str, count: u64) {
        if count == 0 {
            return;
        }
        // Lists of one name, such as the paths of each flow, are counted together.
        match self.omitted.iter_mut().find(|omitted| omitted.list == list) {
            Some(omitted) => omitted.count += count,
            None => self.omitted.push(OmittedReport { list: list.to_owned(), count }),
        }
    }
}

impl UnitReport {
    /// Keeps how likely it fails, for how long, and what is lost.
    fn shorten(&mut self, cuts: &mut Omissions) {
        cuts.cut("endpoints", &mut self.endpoints, 0);
        cuts.cut("exceedance", &mut self.exceedance, 0);
        cuts.drop("first_failed_s", &mut self.first_failed_s);
        cuts.drop("lost", &mut self.lost);
        cuts.drop("objective", &mut self.objective);
        cuts.drop("per_rollout", &mut self.per_rollout);
    }
}

impl Report {
    /// Returns the same report with short lists. Of the verdict, rules that hold are left out.
    #[must_use]
    pub fn into_summary(mut self) -> Self {
        let mut cuts = Omissions::default();
        cuts.cut("services", &mut self.services, KEPT);
        cuts.cut("flows", &mut self.flows, KEPT);
        cuts.cut("dependencies", &mut self.dependencies, KEPT);
        cuts.cut("waiting", &mut self.waiting, KEPT);
        cuts.cut("unknowns", &mut self.unknowns, KEPT);
        cuts.cut("example_trials", &mut self.example_trials, 0);
        for unit in self.services.iter_mut().chain(&mut self.flows) {
            unit.shorten(&mut cuts);
        }
        if let Some(total) = &mut self.total {
            cuts.cut("exceedance", &mut total.exceedance, 0);
            cuts.drop("histogram", &mut total.histogram);
        }
        if let Some(points) = &mut self.single_points {
            cuts.cut("single_points", points, KEPT);
        }
        if let Some(verdict) = &mut self.verdict {
            let before = verdict.rules.len();
            verdict.rules.retain(|rule| rule.outcome != RuleOutcome::Held);
            cuts.drop("test", &mut verdict.test);
            cuts.count_omitted("rules", (before - verdict.rules.len()) as u64);
        }
        self.omitted = cuts.omitted;
        self
    }
}

impl ExplainReport {
    /// Returns the same explanation with short lists.
    #[must_use]
    pub fn into_summary(mut self) -> Self {
        let mut cuts = Omissions::default();
        cuts.cut("services", &mut self.services, KEPT);
        cuts.cut("flows", &mut self.flows, KEPT);
        cuts.cut("containment", &mut self.containment, KEPT);
        cuts.cut("waiting", &mut self.waiting, KEPT);
        cuts.cut("unknowns", &mut self.unknowns, KEPT);
        for flow in &mut self.flows {
            cuts.cut("importance", &mut flow.importance, KEPT);
            cuts.cut("paths", &mut flow.paths, KEPT);
            flow.unit.shorten(&mut cuts);
            if let Some(sets) = &mut flow.cut_sets {
                cuts.cut("sets", &mut sets.sets, KEPT);
            }
        }
        for unit in &mut self.services {
            unit.shorten(&mut cuts);
        }
        self.omitted = cuts.omitted;
        self
    }
}

impl AdviseReport {
    /// Returns the same advice with short lists. What is to be done together stays whole.
    #[must_use]
    pub fn into_summary(mut self) -> Self {
        let mut cuts = Omissions::default();
        cuts.cut("alone", &mut self.alone, KEPT);
        cuts.cut("noise", &mut self.noise, 0);
        self.omitted = cuts.omitted;
        self
    }
}

impl StructureReport {
    /// Returns the same report of fewer services, without the patterns of their files.
    #[must_use]
    pub fn into_summary(mut self) -> Self {
        let mut cuts = Omissions::default();
        cuts.cut("services", &mut self.services, SERVICES_KEPT);
        cuts.cut("flows", &mut self.flows, KEPT);
        for service in &mut self.services {
            cuts.cut("paths", &mut service.paths, 0);
        }
        self.omitted = cuts.omitted;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_of_one_name_are_counted_together_and_short_lists_stay() {
        let mut cuts = Omissions::default();
        let (mut long, mut longer, mut short) = (vec![1; 5], vec![1; 7], vec![1; KEPT]);
        cuts.cut("paths", &mut long, KEPT);
        cuts.cut("paths", &mut longer, KEPT);
        cuts.cut("flows", &mut short, KEPT);
        assert_eq!([long.len(), longer.len(), short.len()], [KEPT; 3]);
        assert_eq!(cuts.omitted, [OmittedReport { list: "paths".to_owned(), count: 6 }]);
    }
}
