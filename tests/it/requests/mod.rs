//! A second, independent truth: every request, attempt, thread, queue slot and cache entry is an object.
//!
//! The engine computes shares and rates; this simulator computes none of them. Requests arrive one by one,
//! wait in queues, hold threads, give up and try again, and what is counted at the end is how many were answered.
//! It shares no code with the engine, and is itself held against the theory of queues (`theory`) before
//! the engine is held against it (`against_engine`).

mod against_engine;
mod draws;
mod simulator;
mod system;
mod theory;
