set -e
git diff --exit-code "$BASE" -- src test package.json
test "$(tr -d '[:space:]`' < answer.txt | sed 's,^\./,,; s,()$,,')" = src/leap.js:isLeap
