//! ProjectData: a project's conversations.

mod entities;
mod feed;
mod frames;
mod idempotency;
mod live;
mod rows;
mod schema;
mod scope;
mod usage;
