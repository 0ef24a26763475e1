import warnings

warnings.simplefilter("error")

import vendor.mail as mail


def refuse(*_, **__):
    raise SystemExit("the deprecated call is still used")


mail.send = refuse

from app.alarm import alarm
from app.digest import digest
from app.welcome import welcome

assert welcome({"name": "Ada", "mail": "ada@example.org"}) is True
assert digest([], ["x"]) == 0
assert digest([{"mail": "a@example.org"}], ["x"]) == 1
assert alarm("fire", "a@example.org , b@example.org") is True
senders = [sender for sender, _ in mail.SENT]
assert senders == ["team@example.org", "news@example.org", "alarm@example.org"], senders
assert mail.SENT[0][1].subject == "Welcome, Ada" and mail.SENT[0][1].body == "Good to have you."
assert mail.SENT[2][1] == mail.Message(("a@example.org", "b@example.org"), "fire", "", {"Reply-To": "ops@example.org"})
