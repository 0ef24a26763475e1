from vendor.mail import Client, Message

_CLIENT = Client(sender="news@example.org")


def digest(people, news):
    to = tuple(person["mail"] for person in people)
    if not to:
        return 0
    headers = {"Reply-To": "editor@example.org"}
    return _CLIENT.deliver(Message(to, f"{len(news)} news", "\n".join(news), headers))
