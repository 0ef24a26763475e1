import unittest

from app import download, upload


class Limits(unittest.TestCase):
    def test_small_ones_pass(self):
        self.assertTrue(upload.accepts(1))
        self.assertTrue(download.accepts(1))


if __name__ == "__main__":
    unittest.main()
