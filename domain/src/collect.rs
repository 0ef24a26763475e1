//! Few things in order.
//!
//! The standard library's `sort`, and `collect` into a tree, which sorts first, are made for many
//! values and are kilobytes for each type in a program that is downloaded. These are for the few that
//! the machines and the Worker have.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

/// A map of these entries; of two with the same key the later one.
pub fn map<K: Ord, V>(entries: impl IntoIterator<Item = (K, V)>) -> BTreeMap<K, V> {
    let mut map = BTreeMap::new();
    for (key, value) in entries {
        map.insert(key, value);
    }
    map
}

/// A set of these values.
pub fn set<T: Ord>(values: impl IntoIterator<Item = T>) -> BTreeSet<T> {
    let mut set = BTreeSet::new();
    for value in values {
        set.insert(value);
    }
    set
}

/// Sorts a few values, keeping those that are equal in their order.
pub fn sort_few<T>(values: &mut [T], order: impl Fn(&T, &T) -> Ordering) {
    for end in 1..values.len() {
        let mut at = end;
        while let Some([one, other]) = values.get_mut(at.wrapping_sub(1)..=at) {
            if order(one, other) != Ordering::Greater {
                break;
            }
            std::mem::swap(one, other);
            at -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_same_as_from_the_standard_library(values: Vec<(u8, u16)>) {
            prop_assert_eq!(map(values.clone()), values.iter().copied().collect::<BTreeMap<_, _>>());
            prop_assert_eq!(set(values.clone()), values.iter().copied().collect::<BTreeSet<_>>());
            let (mut few, mut sorted) = (values.clone(), values);
            sort_few(&mut few, |one, other| one.0.cmp(&other.0));
            sorted.sort_by_key(|(key, _)| *key);
            prop_assert_eq!(few, sorted);
        }
    }
}
