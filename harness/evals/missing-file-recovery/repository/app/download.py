from app.policy.limits import DOWNLOAD_LIMIT


def accepts(size):
    return 0 < size <= DOWNLOAD_LIMIT
