set -e
git diff --exit-code "$BASE" -- src/lib.rs
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
rustc --edition 2021 --test -F unsafe_code -o "$scratch/tests" src/lib.rs
"$scratch/tests" -q
mkdir -p "$scratch/check" "$scratch/repository/src"
cp src/inventory.rs "$scratch/repository/src/"
cp "$CHECK/hidden.rs" "$scratch/check/"
rustc --edition 2021 -A dead_code -o "$scratch/hidden" "$scratch/check/hidden.rs"
"$scratch/hidden"
