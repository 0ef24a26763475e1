set -e
git diff --exit-code "$BASE" -- src include data
test "$(tr -d '[:space:]' < answer.txt)" = 7
make -s clean
test "$(make -s report)" = 7
