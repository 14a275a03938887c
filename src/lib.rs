//! Predicts what fails when a planned change breaks: which services and order flows, how likely, for how
//! long, and how many orders that costs.
//!
//! A topology (services, what they depend on, the flows that run over them) and a change go in, a
//! [`Report`] comes out:
//!
//! ```
//! use blastwave::{Change, Simulation, Topology};
//!
//! let topology = Topology::from_yaml("
//! version: 1
//! topology: shop
//! services:
//!   storefront: { dependencies: [payments, { service: recommendations, criticality: soft }] }
//!   payments: {}
//!   recommendations: {}
//! flows:
//!   place-order: { steps: [storefront] }
//! ")?;
//! let change = Change::breaking(["payments"], &topology)?;
//! let report: blastwave::Report = Simulation::new(&topology, &change).run();
//! assert_eq!(report.flows[0].failed.p, 1.0);
//! # Ok::<(), blastwave::InputError>(())
//! ```
//!
//! - [`Simulation`] simulates ([`run`](Simulation::run)) or judges ([`check`](Simulation::check)).
//! - [`project`] reads what a command line names: topologies, changes, scenarios, incidents.
//! - [`analysis`] has the other questions: compare, rank, explain, advise, replay, diagnose.
//! - [`report`] is the shape of every answer; [`render`] and [`chart`] turn answers into text and pictures.
//! - [`semantics`] says what every figure means; [`architecture`] is the map of the code.
//!
//! Modules that this page does not name are hidden: they may change in any release.

#[macro_use]
mod word_enums;

pub mod analysis;
#[doc(hidden)]
pub mod calibrate;
pub mod cascade;
pub mod chart;
#[doc(hidden)]
pub mod compile;
pub mod diagnostic;
mod digits;
#[doc(hidden)]
pub mod engine;
mod facade;
pub mod import;
#[doc(hidden)]
pub mod load;
pub mod model;
pub mod policy;
pub mod project;
mod prose;
pub mod render;
pub mod report;
mod sort;
#[doc(hidden)]
pub mod suggest;
#[doc(hidden)]
pub mod summary;
#[doc(hidden)]
pub mod threads;

pub use facade::{InputError, Simulation};
pub use model::{Change, Topology};
pub use policy::Policy;
pub use report::Report;

#[doc = include_str!("semantics.md")]
pub mod semantics {}

#[doc = include_str!("architecture.md")]
pub mod architecture {}
