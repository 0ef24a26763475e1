"""Mail, version 2."""

import warnings
from dataclasses import dataclass, field

SENT = []


@dataclass(frozen=True)
class Message:
    to: tuple
    subject: str
    body: str = ""
    headers: dict = field(default_factory=dict)


class Client:
    def __init__(self, *, sender, retries=3):
        self.sender, self.retries = sender, retries

    def deliver(self, message):
        if not isinstance(message.to, tuple) or not message.to:
            raise TypeError("to is a tuple of at least one address")
        SENT.append((self.sender, message))
        return len(message.to)


def send(sender, to, subject, body, reply_to=None):
    """Version 1. Returned whether it worked."""
    warnings.warn("send is gone in version 3", DeprecationWarning, stacklevel=2)
    headers = {"Reply-To": reply_to} if reply_to else {}
    return Client(sender=sender).deliver(Message(tuple(to.split(",")), subject, body, headers)) > 0
