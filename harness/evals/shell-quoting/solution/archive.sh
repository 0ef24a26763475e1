#!/bin/sh
# archive.sh SOURCE TARGET: moves logs.
set -e
mkdir -p -- "$2"
target=$(CDPATH= cd -- "$2" && pwd)
cd -- "$1"
export target
count=$(find . -name '*.log' -type f -exec sh -c '
  for file do
    mkdir -p -- "$target/$(dirname -- "$file")" && mv -- "$file" "$target/$file" && printf x
  done' sh {} + | wc -c)
echo $((count)) > "$target/count"
