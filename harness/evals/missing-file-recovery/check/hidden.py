import os

from app import download, upload

MIB = 1024 * 1024
assert upload.accepts(25 * MIB) and not upload.accepts(25 * MIB + 1)
assert download.accepts(10 * MIB) and not download.accepts(10 * MIB + 1)
assert not os.path.exists("app/config/limits.py"), "a second place for limits"
