//! Finding the one wrong place in a program from its failing tests.
//!
//! [`report`] reads what the test runner printed; [`project`] knows which code a test reaches; [`mutations`] lists the
//! small changes that could be the repair; [`ranking`] puts the likely ones first, and learns from those that were
//! tried. Nothing here runs anything or knows how a change is made.

mod clues;
pub(crate) mod mutations;
pub(crate) mod project;
pub(crate) mod ranking;
pub(crate) mod report;
mod sites;
