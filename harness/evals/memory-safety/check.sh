set -e
git diff --exit-code "$BASE" -- Makefile src/join.h test
make -s test
cc -std=c11 -g -fsanitize=address,undefined -fno-sanitize-recover=all -Isrc -o build/hidden src/join.c "$CHECK/hidden.c"
build/hidden
