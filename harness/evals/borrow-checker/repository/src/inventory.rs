//! Which shelf holds how much of what.

use std::collections::BTreeMap;

type Shelf = BTreeMap<String, u32>;

/// Shelves by name.
#[derive(Default)]
pub struct Warehouse {
    shelves: BTreeMap<String, Shelf>,
}

/// Why nothing was moved.
#[derive(Debug, PartialEq, Eq)]
pub enum Refused {
    /// There is no such shelf.
    NoShelf,
    /// There is not as much on it.
    TooFew,
}

impl Warehouse {
    /// Puts items on a shelf, which is made if there is none.
    pub fn put(&mut self, shelf: &str, item: &str, count: u32) {
        *self.shelves.entry(shelf.to_owned()).or_default().entry(item.to_owned()).or_default() += count;
    }

    /// How many of an item a shelf holds.
    pub fn count(&self, shelf: &str, item: &str) -> u32 {
        self.shelves.get(shelf).and_then(|shelf| shelf.get(item)).copied().unwrap_or(0)
    }

    /// Moves items from one shelf to another; how many are on the other then. Both must exist. When it is refused, nothing has changed.
    pub fn shift(&mut self, from: &str, to: &str, item: &str, count: u32) -> Result<u32, Refused> {
        let source = self.shelves.get_mut(from).ok_or(Refused::NoShelf)?;
        let target = self.shelves.get_mut(to).ok_or(Refused::NoShelf)?;
        let held = source.get_mut(item).ok_or(Refused::TooFew)?;
        *held = held.checked_sub(count).ok_or(Refused::TooFew)?;
        let there = target.entry(item.to_owned()).or_default();
        *there += count;
        Ok(*there)
    }

    /// The shelf that holds most of an item, the first by name of several.
    pub fn fullest(&self, item: &str) -> Option<&str> {
        let mut best: Option<(&str, u32)> = None;
        for (name, shelf) in &self.shelves {
            let count = shelf.get(item).copied().unwrap_or(0);
            let name = name.to_owned();
            if count > best.map_or(0, |(_, most)| most) {
                best = Some((&name, count));
            }
        }
        best.map(|(name, _)| name)
    }
}
