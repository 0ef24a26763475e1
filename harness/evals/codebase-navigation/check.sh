set -e
git diff --exit-code "$BASE" -- src orders package.json
test "$(tr -d '[:space:]' < answer.txt)" = 50120
