set -e
node "$CHECK/hidden.test.mjs"
