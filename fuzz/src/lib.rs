//! Fuzz targets of blastwave.

pub mod targets;
