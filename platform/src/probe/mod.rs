//! What tests see of an object, and do to it.
//!
//! Model: everything that an object waits for outside itself, and both ends of each of its events,
//! is a named point; everything that Cloudflare bills is counted where it happens. In a build with
//! `fault-injection` the points are written down in order, and a test can have the object evicted
//! at any of them ([`registry`]); in the product a probe holds nothing and a point is no code.
//!
//! What lies between two points is one piece without a wait on the outside, so that evicting an
//! object at each of its points is evicting it wherever it can be evicted. `cargo xtask tidy` holds
//! the objects to it: they wait for nothing but each other's functions and [`Probe`]'s.

#[cfg(feature = "fault-injection")]
mod eviction;
#[cfg(feature = "fault-injection")]
pub mod registry;

use crate::objects::Class;

/// What begins an object's work. Each is billed as a request, frames at 20 to 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// A request: a call, a message, a socket to open.
    Request,
    /// Its alarm.
    Alarm,
    /// A frame on a socket.
    Frame,
    /// A socket's end.
    Closed,
}

impl Event {
    /// The point before the work.
    pub const fn begun(self) -> &'static str {
        match self {
            Self::Request => "request.begun",
            Self::Alarm => "alarm.begun",
            Self::Frame => "frame.begun",
            Self::Closed => "closed.begun",
        }
    }

    /// The point after it, before anybody is answered.
    pub const fn done(self) -> &'static str {
        match self {
            Self::Request => "request.done",
            Self::Alarm => "alarm.done",
            Self::Frame => "frame.done",
            Self::Closed => "closed.done",
        }
    }
}

/// One object's probe. The default watches nothing.
#[derive(Debug, Clone, Default)]
pub struct Probe {
    #[cfg(feature = "fault-injection")]
    watched: Option<std::rc::Rc<registry::Watched>>,
}

#[cfg_attr(
    not(feature = "fault-injection"),
    expect(
        clippy::unused_self,
        clippy::unused_async,
        reason = "in the product a probe does nothing"
    )
)]
impl Probe {
    /// The probe of the object of this class with this state.
    #[cfg_attr(
        not(feature = "fault-injection"),
        expect(unused_variables, reason = "in the product a probe knows nothing")
    )]
    pub fn of(state: &worker::State, class: Class) -> Self {
        Self {
            #[cfg(feature = "fault-injection")]
            watched: Some(registry::watch(state, class)),
        }
    }

    /// A moment at which the object may be evicted.
    #[inline]
    #[cfg_attr(
        not(feature = "fault-injection"),
        expect(unused_variables, reason = "in the product a point is no code")
    )]
    pub async fn point(&self, name: &'static str) {
        #[cfg(feature = "fault-injection")]
        if let Some(watched) = &self.watched
            && watched.passes(name)
        {
            watched.evict(name).await;
        }
    }

    /// One event of the object, between two points.
    #[inline]
    pub async fn event<T>(&self, event: Event, work: impl Future<Output = T>) -> T {
        #[cfg(feature = "fault-injection")]
        if let Some(watched) = &self.watched {
            watched.count(|counts| counts.began(event));
        }
        self.point(event.begun()).await;
        let done = work.await;
        self.point(event.done()).await;
        done
    }

    /// A wait for something outside the object, between two points.
    #[inline]
    pub async fn outside<T>(&self, around: Outside, work: impl Future<Output = T>) -> T {
        self.point(around.before()).await;
        let done = work.await;
        self.point(around.after()).await;
        done
    }

    /// Rows that a statement wrote, index rows included.
    #[inline]
    #[cfg_attr(
        not(feature = "fault-injection"),
        expect(unused_variables, reason = "in the product nothing is counted")
    )]
    pub(crate) fn wrote(&self, rows: u64) {
        #[cfg(feature = "fault-injection")]
        if let Some(watched) = &self.watched {
            watched.count(|counts| counts.rows_written += rows);
        }
    }

    /// The alarm was set or removed; either is billed as a row.
    #[inline]
    pub(crate) fn set_alarm(&self) {
        #[cfg(feature = "fault-injection")]
        if let Some(watched) = &self.watched {
            watched.count(|counts| counts.alarms_set += 1);
        }
    }
}

/// What an object waits for outside itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outside {
    /// The rest of a request's body.
    Body,
    /// Another object's answer to a message.
    Delivery,
    /// D1.
    Database,
    /// A program that is none of ours.
    Provider,
    /// Another event of the same object.
    Turn,
    /// A machine's answer on its link.
    Machine,
}

impl Outside {
    /// The point before the wait.
    pub const fn before(self) -> &'static str {
        match self {
            Self::Body => "body.before",
            Self::Delivery => "delivery.before",
            Self::Database => "database.before",
            Self::Provider => "provider.before",
            Self::Turn => "turn.before",
            Self::Machine => "machine.before",
        }
    }

    /// The point after it.
    pub const fn after(self) -> &'static str {
        match self {
            Self::Body => "body.after",
            Self::Delivery => "delivery.after",
            Self::Database => "database.after",
            Self::Provider => "provider.after",
            Self::Turn => "turn.after",
            Self::Machine => "machine.after",
        }
    }
}
