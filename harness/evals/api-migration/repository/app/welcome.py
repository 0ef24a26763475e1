from vendor.mail import send


def welcome(person):
    return send("team@example.org", person["mail"], f"Welcome, {person['name']}", "Good to have you.")
