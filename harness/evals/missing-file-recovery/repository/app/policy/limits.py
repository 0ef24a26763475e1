"""Limits of the service. Moved here from app/config."""

MIB = 1024 * 1024

UPLOAD_LIMIT = 10 * MIB
DOWNLOAD_LIMIT = 10 * MIB
