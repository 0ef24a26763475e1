from vendor import mail

_send = mail.send


def alarm(text, recipients="ops@example.org, lead@example.org"):
    return _send("alarm@example.org", recipients.replace(" ", ""), text, "", "ops@example.org")
