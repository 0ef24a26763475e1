//! Who owns it: one object per project, task, node and person's pool; one for each budget, device
//! flow, counter of tries and login.
//!
//! Each class is a thin shell around a machine of `sam-domain`. A turn loads the machine's actor,
//! steps it, and stores it together with everything else that turn changes and the alarm, without
//! awaiting anything outside in between; the runtime commits that as one unit. Messages to other
//! machines lie in the stored outbox and are delivered afterwards, at least once and in order, and
//! taken in exactly once ([`mail`]).
//!
//! | class | owns |
//! |---|---|
//! | `ProjectData` | conversations: sessions, rows, prompts, and the feed of them |
//! | `TaskRunner` | a task and its attempts |
//! | `NodeLifecycle` | what is on a machine, and its link |
//! | `NodePool` | who gets which node |
//! | `Budget` | what a person or a project may spend, has reserved and spent |
//! | `DeviceFlow` | one program that asks to be signed in |
//! | `RateLimit` | how often somebody has tried something |
//! | `SubscriptionLogin` | a person's login for an agent; it lies in D1 |
//!
//! The last three have no mail. The one value of the first two of them lies in a [`record`] and is
//! forgotten in time.
//!
//! Invariants:
//! - An object never waits for another while that one may wait for it: calls between objects are
//!   deliveries of messages, answered as soon as they are stored.
//! - `alarm` never returns an error: what fails is logged and tried again later.
//! - All four WebSocket handlers are written out in every class that accepts sockets; the binding's
//!   defaults trap.
//!
//! What this crate refuses to know: tokens and people's rights (a call says on whose behalf it is),
//! and every rule that a machine can decide.

mod budget;
mod device;
#[cfg(feature = "fault-injection")]
mod faults;
mod limit;
mod login;
mod mail;
mod node;
mod object;
mod pool;
mod project;
mod record;
mod shell;
mod task;

pub use budget::Budget;
pub use device::DeviceFlow;
pub use limit::RateLimit;
pub use login::SubscriptionLogin;
pub use node::NodeLifecycle;
pub use pool::NodePool;
pub use project::ProjectData;
pub use task::TaskRunner;
