set -e
sh -n archive.sh
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
from="$scratch/-from here"
to="$scratch/to 'there'"
newline=$(printf 'new\nline')
mkdir -p "$from/a b" "$from/-d" "$from/$newline" "$to"
for name in plain 'a b/two words' '-d/-dash' '*' "it's" "$newline/n" '$HOME'; do
  printf '%s' "$name" > "$from/$name.log"
done
printf keep > "$from/a b/keep.txt"
mkdir "$from/folder.log"
sh archive.sh "$from" "$to"
test "$(cat "$to/count")" = 7
for name in plain 'a b/two words' '-d/-dash' '*' "it's" "$newline/n" '$HOME'; do
  test "$(cat "$to/$name.log")" = "$name"
  test ! -e "$from/$name.log"
done
test "$(cat "$from/a b/keep.txt")" = keep
test -d "$from/folder.log"
cp -R "$from" from
printf x > from/r.log
sh archive.sh from to
test "$(cat to/count)" = 1
test "$(cat to/r.log)" = x
