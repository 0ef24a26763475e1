set -e
# Compiled within the second of an edit, a module can pass for the one before it.
find . -name __pycache__ -prune -exec rm -rf {} +
git diff --exit-code "$BASE" -- test_store.py
python3 -m unittest
PYTHONPATH=. python3 "$CHECK/hidden.py"
