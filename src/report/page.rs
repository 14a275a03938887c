//! Data for the script of an HTML report: the figures of every service, and how failure propagates
//! from one to the next.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Protection;

/// The data of an HTML report.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct PageReport {
    /// The names of the flows.
    pub flows: Vec<String>,
    /// The services, in the order of the report.
    pub services: Vec<PageService>,
    /// Calls that failure entered.
    pub calls: Vec<PageCall>,
    /// When the last service of nearly all trials has failed, in seconds; 0 where there is no time.
    pub until_s: f64,
}

/// A service.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct PageService {
    /// Its name.
    pub name: String,
    /// The share of trials in which it fails.
    pub failed: f64,
    /// In which it is degraded or worse.
    pub degraded: f64,
    /// When it first failed: the 10th, 25th, 50th, 75th, 90th and 95th percentile, in seconds.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub first_s: Vec<f64>,
    /// The flows that run over it, by their places.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub flows: Vec<usize>,
    /// Why requests wait in vain there, or at its calls, most frequent first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub waiting: Vec<PageWaiting>,
}

/// A reason why requests wait in vain.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct PageWaiting {
    /// The reason in a sentence.
    pub text: String,
    /// The share of trials in which it holds.
    pub p: f64,
}

/// A dependency that failure entered.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct PageCall {
    /// Who calls.
    pub caller: String,
    /// Callee of the dependency.
    pub dependency: String,
    /// The share of trials in which failure passed to the caller.
    pub passed: f64,
    /// In which it was contained, by what.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub held: BTreeMap<Protection, f64>,
}
