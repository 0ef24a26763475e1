//! A warehouse: shelves with items on them.

pub mod inventory;

#[cfg(test)]
mod tests {
    use crate::inventory::Warehouse;

    #[test]
    fn items_move_between_shelves() {
        let mut house = Warehouse::default();
        house.put("a", "bolt", 3);
        house.put("b", "bolt", 1);
        assert_eq!(house.shift("a", "b", "bolt", 2), Ok(3));
        assert_eq!(house.count("a", "bolt"), 1);
    }
}
