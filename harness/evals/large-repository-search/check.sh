set -e
test "$(tr -d '[:space:]`' < answer.txt)" = heron-jade-2
git diff --exit-code "$BASE" -- services ports clients
