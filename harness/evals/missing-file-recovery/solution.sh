sed -i 's/^UPLOAD_LIMIT = 10/UPLOAD_LIMIT = 25/' app/policy/limits.py
