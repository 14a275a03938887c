//! One file or folder for each format: from the files of another program to the graph of evidence.

pub(super) mod aspire;
pub(super) mod backstage;
pub(super) mod bering;
pub(super) mod compose;
pub(super) mod csv;
pub(super) mod dot;
pub(super) mod edges;
pub(super) mod graphml;
pub(super) mod isotope;
pub(super) mod jaeger;
pub(super) mod kiali;
pub(super) mod kubernetes;
pub(super) mod linkerd;
pub(super) mod mapping;
pub(super) mod mubench;
pub(super) mod nais;
pub(super) mod otlp;
pub(super) mod prometheus;
mod spans;
pub(super) mod spigo;
pub(super) mod structurizr;
mod structurizr_dsl;
mod traces;
pub(super) mod zipkin;
