//! The oracle itself is held to hand-computed cases and to the laws of the model.

#![expect(clippy::float_cmp, reason = "whole shares and certain times are exact")]

mod interventions;
mod laws;
mod load;
mod small;
mod steps;
mod structure;
mod time;
