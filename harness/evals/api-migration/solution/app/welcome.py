from vendor.mail import Client, Message

_CLIENT = Client(sender="team@example.org")


def welcome(person):
    message = Message((person["mail"],), f"Welcome, {person['name']}", "Good to have you.")
    return _CLIENT.deliver(message) > 0
