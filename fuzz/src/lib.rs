//! Fuzz targets of blastwave.

#[path = "../../tests/it/fuzz/targets.rs"]
pub mod targets;
