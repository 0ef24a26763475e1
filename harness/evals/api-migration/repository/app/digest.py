import vendor.mail as mail


def digest(people, news):
    to = ",".join(person["mail"] for person in people)
    if not to:
        return 0
    if mail.send("news@example.org", to, f"{len(news)} news", "\n".join(news), reply_to="editor@example.org"):
        return len(people)
    return 0
