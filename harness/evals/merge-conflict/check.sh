set -e
# Compiled within the second of an edit, a module can pass for the one before it.
find . -name __pycache__ -prune -exec rm -rf {} +
test -z "$(git status --porcelain --untracked-files=no)"
test "$(git rev-list --parents -n 1 HEAD | wc -w)" = 3
git merge-base --is-ancestor currency HEAD
python3 -m unittest
PYTHONPATH=. python3 "$CHECK/hidden.py"
