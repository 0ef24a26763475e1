//! Single steps of the machines, each in the fewest that show what is promised.

mod answers;
mod budget;
mod found;
mod leaving;
mod retry;
mod scene;
mod settling;
mod title;
