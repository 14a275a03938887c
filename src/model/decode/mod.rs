//! From documents to the checked model: everything wrong is reported, none of it twice.

mod breaks;
mod change;
mod delay;
mod dependency;
pub(crate) mod kind;
mod names;
pub(crate) mod read;
mod rollout;
mod topology;
