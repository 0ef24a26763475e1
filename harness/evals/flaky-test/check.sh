set -e
git diff --exit-code "$BASE" -- test
node --test
node "$CHECK/hidden.test.mjs"
