import os
import tempfile

from store import Store

with tempfile.TemporaryDirectory() as outer:
    outer = os.path.realpath(outer)
    inside, beside = os.path.join(outer, "files"), os.path.join(outer, "files-of-others")
    os.mkdir(inside)
    os.mkdir(beside)
    for place in (outer, beside):
        with open(os.path.join(place, "secret"), "w") as file:
            file.write("secret")
    os.symlink(outer, os.path.join(inside, "link"))
    store = Store(inside)
    for name in ["../secret", os.path.join(outer, "secret"), "a/../../secret",
                 "../files-of-others/secret", "link/secret", "..", ""]:
        for action in (store.read, lambda name: store.write(name, "x")):
            try:
                action(name)
            except ValueError:
                continue
            raise SystemExit(f"{name!r} was let through")
    # What becomes a way out when ".." is only cut out of it.
    for name in ["..././secret", "....//secret"]:
        store.write(name, "inside")
        assert store.read(name) == "inside"
    store.write("a/./b.txt", "fine")
    assert store.read("a/b.txt") == "fine"
    store.write("..data", "fine")
    assert store.read("..data") == "fine"
    for place in (outer, beside):
        with open(os.path.join(place, "secret")) as file:
            assert file.read() == "secret"
