//! Changes to bytes, whatever they mean.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use crate::Input;

/// Pieces that readers stumble over.
const PIECES: &[&[u8]] = &[
    b"\0",
    b"\xff",
    b"\xc0\xaf",
    b"\xed\xa0\x80",
    b"\xf0\x9f",
    b"\xef\xbb\xbf",
    "\u{202e}\u{2028}\u{feff}".as_bytes(),
    b"\x1b[2J\x1b]0;x\x07",
    b"\r\n",
    b"\n\n",
    b"\r",
    b"\\ud800",
    b"\\u0000",
    b"\"",
    b"\\",
    b"{",
    b"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
    b"}",
    b"1e999",
    b"-0",
    b"18446744073709551616",
    b"99999999999999999999999999999999999999999999999999",
    b"null",
    b"data:",
    b"..",
    b"/../",
    b"%00",
    b"--x",
];

#[derive(Clone, Debug)]
enum Edit {
    Flip(Index, u8),
    Put(Index, Vec<u8>),
    Remove(Index, usize),
    Repeat(Index, usize, usize),
    Cut(Index),
    Splice(Index, Index, Index),
}

fn edit() -> impl Strategy<Value = Edit> {
    let index = any::<Index>;
    prop_oneof![
        3 => (index(), 0_u8..8).prop_map(|(at, bit)| Edit::Flip(at, bit)),
        3 => (index(), select(PIECES)).prop_map(|(at, piece)| Edit::Put(at, piece.to_vec())),
        1 => (index(), vec(any::<u8>(), 1..20)).prop_map(|(at, piece)| Edit::Put(at, piece)),
        2 => (index(), 1_usize..40).prop_map(|(at, length)| Edit::Remove(at, length)),
        1 => (index(), 1_usize..30, 2_usize..200)
            .prop_map(|(at, length, times)| Edit::Repeat(at, length, times)),
        1 => index().prop_map(Edit::Cut),
        1 => (index(), index(), index()).prop_map(|(at, other, from)| Edit::Splice(at, other, from)),
    ]
}

fn apply(text: &mut Vec<u8>, edit: &Edit, corpus: &[Vec<u8>]) {
    let place = |at: &Index, length: usize| at.index(length + 1);
    match edit {
        Edit::Flip(at, bit) => {
            let at = place(at, text.len());
            if let Some(byte) = text.get_mut(at) {
                *byte ^= 1 << bit;
            }
        }
        Edit::Put(at, piece) => {
            let at = place(at, text.len());
            text.splice(at..at, piece.iter().copied());
        }
        Edit::Remove(at, length) => {
            let at = place(at, text.len());
            let end = (at + length).min(text.len());
            text.drain(at..end);
        }
        Edit::Repeat(at, length, times) => {
            let at = place(at, text.len());
            let end = (at + length).min(text.len());
            let piece = text.get(at..end).unwrap_or_default().repeat(*times);
            text.splice(end..end, piece);
        }
        Edit::Cut(at) => text.truncate(place(at, text.len())),
        Edit::Splice(at, other, from) => {
            let Some(other) = corpus.get(other.index(corpus.len().max(1))) else {
                return;
            };
            text.truncate(place(at, text.len()));
            text.extend_from_slice(other.get(place(from, other.len())..).unwrap_or_default());
        }
    }
}

/// One of the examples with up to eight changes.
pub fn bytes(corpus: Vec<Vec<u8>>) -> impl Strategy<Value = Input> {
    (any::<Index>(), vec(edit(), 0..8)).prop_map(move |(which, edits)| {
        let mut text = corpus
            .get(which.index(corpus.len().max(1)))
            .cloned()
            .unwrap_or_default();
        for edit in &edits {
            apply(&mut text, edit, &corpus);
        }
        Input(text)
    })
}
