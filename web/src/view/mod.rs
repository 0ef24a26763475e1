//! What is drawn, one file for each part of the page.

pub(crate) mod administration;
pub(crate) mod compared;
pub(crate) mod compose;
pub(crate) mod composer;
pub(crate) mod conversation;
pub(crate) mod device;
pub(crate) mod dialogs;
pub(crate) mod diff;
pub(crate) mod home;
pub(crate) mod list;
pub(crate) mod nodes;
pub(crate) mod outcome;
pub(crate) mod palette;
pub(crate) mod part;
pub(crate) mod permission;
pub(crate) mod rail;
pub(crate) mod row;
pub(crate) mod shell;
pub(crate) mod sign_in;
pub(crate) mod steps;
pub(crate) mod tool;
pub(crate) mod tools;

pub(crate) use sam_web_parts::{dynamic, icon};
