from vendor.mail import Client, Message

_CLIENT = Client(sender="alarm@example.org")


def alarm(text, recipients="ops@example.org, lead@example.org"):
    to = tuple(address.strip() for address in recipients.split(","))
    return _CLIENT.deliver(Message(to, text, "", {"Reply-To": "ops@example.org"})) > 0
