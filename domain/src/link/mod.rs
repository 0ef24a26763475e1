//! The node link: one WebSocket from a machine to its NodeLifecycle object.
//!
//! JSON text frames `{"t": …}`. Both ends keep what they owe on disk and repeat
//! it until the other has stored it: commands down (acknowledged one by one),
//! events up (numbered within a store id, acknowledged in order). A frame that
//! is lost or repeated therefore changes nothing.
//!
//! - [`frame`]: the wire.
//! - [`agent_end`]: the node's end, without I/O; run by the vm-agent and the simulator.
//! - [`question`]: what is asked and answered while the link is up, and kept by nobody.
//! - [`table`]: both ends as tables.
//! - [`object_end`]: the control plane's end, without I/O; part of the node machine.

pub mod agent_end;
pub mod frame;
pub mod object_end;
pub mod question;
pub mod table;
