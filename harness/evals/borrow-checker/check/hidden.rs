//! What the repaired warehouse has to do.

#[path = "../repository/src/inventory.rs"]
mod inventory;

use inventory::{Refused, Warehouse};

fn main() {
    let mut house = Warehouse::default();
    for (shelf, item, count) in [("a", "bolt", 3), ("b", "nut", 5), ("c", "bolt", 3)] {
        house.put(shelf, item, count);
    }
    assert_eq!(house.fullest("bolt"), Some("a"));
    assert_eq!(house.fullest("cog"), None);
    assert_eq!(house.shift("a", "x", "bolt", 1), Err(Refused::NoShelf));
    assert_eq!(house.shift("x", "a", "bolt", 1), Err(Refused::NoShelf));
    assert_eq!(house.shift("a", "b", "bolt", 4), Err(Refused::TooFew));
    assert_eq!(house.shift("a", "b", "cog", 1), Err(Refused::TooFew));
    assert_eq!((house.count("a", "bolt"), house.count("b", "bolt")), (3, 0));
    assert_eq!(house.shift("a", "b", "bolt", 3), Ok(3));
    assert_eq!((house.count("a", "bolt"), house.count("b", "bolt")), (0, 3));
    assert_eq!(house.shift("b", "b", "nut", 2), Ok(5));
    assert_eq!(house.fullest("bolt"), Some("b"));
}
