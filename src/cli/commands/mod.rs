//! The commands, one file each: read, ask the library, write.

pub(super) mod advise;
pub(super) mod calibrate;
pub(super) mod change;
pub(super) mod check;
pub(super) mod compare;
pub(super) mod diagnose;
pub(super) mod diagram;
pub(super) mod drift;
pub(super) mod explain;
pub(super) mod import;
pub(super) mod incident;
pub(super) mod init;
pub(super) mod installers;
pub(super) mod policy;
pub(super) mod rank;
pub(super) mod replay;
pub(super) mod review;
pub(super) mod schema;
pub(super) mod show;
pub(super) mod simulate;
pub(super) mod topology_review;
pub(super) mod validate;
