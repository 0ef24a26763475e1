set -e
git status --porcelain | diff "$CHECK/status" -
test "$(git rev-list --count "$BASE"..HEAD)" = 1
test "$(git diff --name-only "$BASE" HEAD)" = src/slug.js
for file in notes.md draft.txt src/title.js; do
  cmp "$file" "$CHECK/$file"
done
node "$CHECK/hidden.test.mjs"
