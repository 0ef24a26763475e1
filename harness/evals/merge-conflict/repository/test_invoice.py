import unittest

import invoice


class Invoice(unittest.TestCase):
    def test_total(self):
        self.assertIn("Total: 7", invoice.render([{"price": 2, "count": 3}, {"price": 1, "count": 1}]))


if __name__ == "__main__":
    unittest.main()
