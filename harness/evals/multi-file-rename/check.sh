set -e
git diff --exit-code "$BASE" -- CHANGELOG.md test
node --test
node "$CHECK/hidden.test.mjs"
