set -e
git diff --exit-code "$BASE" -- test package.json
node --test test/cache.test.ts
node "$CHECK/hidden.test.ts"
