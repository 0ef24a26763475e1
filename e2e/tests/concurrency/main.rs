//! Many at once: what is accepted is accepted once and in order, what is given is given in turn and
//! within its bounds, and everybody who watches sees the same.

mod places;
mod submits;
mod two_people;
mod watchers;
