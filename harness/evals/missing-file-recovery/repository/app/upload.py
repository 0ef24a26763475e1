from app.policy.limits import UPLOAD_LIMIT


def accepts(size):
    return 0 < size <= UPLOAD_LIMIT
