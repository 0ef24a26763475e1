//! The simulator is itself tested: each mistake that the world makes on purpose
//! is found within a thousand seeds.

use sam_simulator::{Batch, Defect, cores};

fn caught_within(defect: Defect, seeds: u64) -> Option<(u64, String)> {
    let batch = Batch {
        seeds: 1..seeds + 1,
        jobs: cores(),
        defect: Some(defect),
    };
    batch.run(|_| ()).broken
}

#[test]
fn each_defect_is_caught_within_a_thousand_seeds() {
    let missed: Vec<_> = Defect::ALL
        .into_iter()
        .filter(|defect| match caught_within(*defect, 1_000) {
            Some((seed, broken)) => {
                println!("{}: seed {seed}: {broken}", defect.word());
                false
            }
            None => true,
        })
        .map(Defect::word)
        .collect();
    assert!(missed.is_empty(), "not caught: {}", missed.join(", "));
}

#[test]
fn a_defect_is_named_by_its_word() {
    for defect in Defect::ALL {
        assert_eq!(defect.word().parse(), Ok(defect));
    }
    assert!("none".parse::<Defect>().is_err());
}
