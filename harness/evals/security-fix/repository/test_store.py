import tempfile
import unittest

from store import Store


class Names(unittest.TestCase):
    def test_folders(self):
        with tempfile.TemporaryDirectory() as directory:
            store = Store(directory)
            store.write("a/b/c.txt", "text")
            self.assertEqual(store.read("a/b/c.txt"), "text")


if __name__ == "__main__":
    unittest.main()
