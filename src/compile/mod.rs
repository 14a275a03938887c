//! Makes a topology and a change ready to be simulated: dense arrays in evaluation order.

pub mod key;

pub use key::Key;
