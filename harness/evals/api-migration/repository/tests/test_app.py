import unittest

from app.alarm import alarm
from app.digest import digest
from app.welcome import welcome
from vendor.mail import SENT


class App(unittest.TestCase):
    def setUp(self):
        SENT.clear()

    def test_welcome(self):
        self.assertIs(welcome({"name": "Ada", "mail": "ada@example.org"}), True)
        self.assertEqual(SENT[0][1].to, ("ada@example.org",))

    def test_digest(self):
        people = [{"mail": "a@example.org"}, {"mail": "b@example.org"}]
        self.assertEqual(digest(people, ["x", "y"]), 2)
        self.assertEqual(SENT[0][1].headers, {"Reply-To": "editor@example.org"})

    def test_alarm(self):
        self.assertIs(alarm("fire"), True)
        self.assertEqual(SENT[0][1].to, ("ops@example.org", "lead@example.org"))


if __name__ == "__main__":
    unittest.main()
