import unittest

from timeline import overlaps


class Overlaps(unittest.TestCase):
    def test_pairs(self):
        self.assertEqual(overlaps([(5, 9), (0, 6), (6, 7), (20, 21)]), [(0, 1), (0, 2)])


if __name__ == "__main__":
    unittest.main()
