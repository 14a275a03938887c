//! The short way in: YAML text to a simulation in a few lines.

use std::fmt;

use crate::analysis::{self, Check, Gate, Settings, Stop};
use crate::diagnostic::{Diagnostic, Sources};
use crate::engine::Silent;
use crate::load;
use crate::model::{Change, Topology};
use crate::policy::Policy;
use crate::render::text::diagnostics::{self, DiagnosticStyle};
use crate::report::Report;

/// Everything that is wrong with an input, with the text that it stands in.
///
/// `Display` shows each problem beside its line, with the nearest name that would have been right.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct InputError {
    diagnostics: Vec<Diagnostic>,
    sources: Sources,
}

impl InputError {
    /// Returns the problems, sorted by place; there is at least one.
    pub fn diagnostics(&self) -> &[Diagnostic] {
        &self.diagnostics
    }
}

impl fmt::Display for InputError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&diagnostics::render_diagnostics(
            &self.diagnostics,
            &self.sources,
            DiagnosticStyle::Plain,
        ))
    }
}

impl std::error::Error for InputError {}

impl Topology {
    /// Parses and checks a topology.
    ///
    /// ```
    /// let error = blastwave::Topology::from_yaml("{version: 1, topology: t, service: {}}").unwrap_err();
    /// assert!(error.to_string().contains("services"));
    /// ```
    ///
    /// # Errors
    /// Returns everything that is wrong with the text, not only the first problem.
    pub fn from_yaml(text: &str) -> Result<Self, InputError> {
        with_sources(|sources| {
            let document = load::parse_document("topology", text.as_bytes().to_vec(), sources)?;
            Self::from_document(&document)
        })
    }
}

impl Change {
    /// Parses a change, and checks it against the topology that it names services of.
    ///
    /// # Errors
    /// Returns everything that is wrong with the text, unknown services included.
    pub fn from_yaml(text: &str, topology: &Topology) -> Result<Self, InputError> {
        with_sources(|sources| {
            let document = load::parse_document("change", text.as_bytes().to_vec(), sources)?;
            Self::from_document(&document, topology)
        })
    }

    /// Returns the change in which targets break completely, at once and with certainty.
    ///
    /// A target is a service, an endpoint or a failure domain, with a mode if it does not fail fast:
    /// `payments`, `storefront/checkout:slow`, `payments:surge:8`, `eu-west-1a`.
    ///
    /// # Errors
    /// Returns every target that the topology does not have, with the nearest one that it has.
    pub fn breaking<'a>(
        targets: impl IntoIterator<Item = &'a str>,
        topology: &Topology,
    ) -> Result<Self, InputError> {
        let targets: Vec<String> = targets.into_iter().map(str::to_owned).collect();
        with_sources(|sources| Self::from_breaks(&targets, topology, sources))
    }
}

/// Runs `read`, and keeps the text of what it read for the messages of its errors.
fn with_sources<T>(
    read: impl FnOnce(&mut Sources) -> Result<T, Vec<Diagnostic>>,
) -> Result<T, InputError> {
    let mut sources = Sources::default();
    read(&mut sources).map_err(|diagnostics| InputError { diagnostics, sources })
}

/// A simulation of a change, ready to run.
///
/// ```
/// use blastwave::{Change, Simulation, Topology};
///
/// let topology = Topology::from_yaml(
///     "{version: 1, topology: shop, services: {web: {dependencies: [db]}, db: {}}, flows: {buy: {steps: [web]}}}",
/// )?;
/// let change = Change::breaking(["db"], &topology)?;
/// let report = Simulation::new(&topology, &change).trials(1_000).seed(7).run();
/// assert_eq!(report.flows[0].failed.p, 1.0);
/// # Ok::<(), blastwave::InputError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Simulation<'a> {
    topology: &'a Topology,
    change: &'a Change,
    settings: Settings,
}

impl<'a> Simulation<'a> {
    /// Prepares 10,000 trials with seed 1 of a change that was checked against `topology`.
    pub fn new(topology: &'a Topology, change: &'a Change) -> Self {
        Self { topology, change, settings: Settings::default() }
    }

    /// Sets the number of trials: simulated rollouts, each of which draws everything anew.
    #[must_use]
    pub fn trials(mut self, count: u64) -> Self {
        // No trial at all would give shares of nothing.
        self.settings.stop = Stop::Trials(count.max(1));
        self
    }

    /// Sets the seed of all draws: equal seeds give equal reports, on any machine.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.settings.seed = seed;
        self
    }

    /// Runs the trials on all threads of the current pool.
    pub fn run(&self) -> Report {
        analysis::simulate_change(self.topology, self.change, &self.settings, &Silent)
    }

    /// Runs the trials and judges them: by a policy as YAML, or by the one that comes with the program.
    ///
    /// ```
    /// use blastwave::{Change, Simulation, Topology};
    ///
    /// let topology = Topology::from_yaml(
    ///     "{version: 1, topology: shop, services: {web: {}, mail: {}}, flows: {buy: {steps: [web]}}}",
    /// )?;
    /// let change = Change::breaking(["mail"], &topology)?;
    /// let report = Simulation::new(&topology, &change).check(None)?;
    /// assert!(report.verdict.is_some());
    /// # Ok::<(), blastwave::InputError>(())
    /// ```
    ///
    /// # Errors
    /// Returns everything that is wrong with the policy: its form, names that the topology does not have,
    /// and rules that would take too long to evaluate.
    pub fn check(&self, policy: Option<&str>) -> Result<Report, InputError> {
        with_sources(|sources| {
            let parsed = match policy {
                None => Policy::default_policy(sources),
                Some(text) => {
                    let document =
                        load::parse_document("policy", text.as_bytes().to_vec(), sources)?;
                    Policy::from_document(&document, sources, Some(self.topology))?
                }
            };
            let gate = Gate { policy: Some((&parsed, policy.is_none())), ..Gate::default() };
            let check = Check::new(self.topology, self.change, &gate, &self.settings)?;
            Ok(check.run(&Silent))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compile::seen;

    #[test]
    fn a_check_compiles_the_plan_as_stated_once() {
        let shop = include_str!("../topologies/webshop.yaml");
        let named = format!("topology: {}", seen::NAME);
        let topology = Topology::from_yaml(&shop.replace("topology: webshop", &named)).unwrap();
        let change = include_str!("../topologies/changes/webshop/payments-v4.yaml");
        let change = Change::from_yaml(change, &topology).unwrap();
        Simulation::new(&topology, &change).trials(128).check(None).unwrap();
        let inputs = seen::inputs();
        // As stated, as assumed, and every unknown and decider.
        assert!(inputs.len() > 5, "{}", inputs.len());
        // The first is as stated. Only unknowns that matter are compiled again, to be measured.
        assert_eq!(inputs.iter().filter(|input| **input == inputs[0]).count(), 1);
    }
}
