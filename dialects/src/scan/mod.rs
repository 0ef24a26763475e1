//! What a proxy has to know of bytes that pass: of a request its model, its
//! limits and whether it wants a stream; of a reply what it cost.

mod input;
mod meter;
mod request;

pub use input::InputScan;
pub use meter::{Metered, UsageScan};
pub use request::{RequestFacts, RequestScan, ScanError};
