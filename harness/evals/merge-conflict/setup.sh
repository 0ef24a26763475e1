git checkout -q -b currency
cat > invoice.py <<'EOF'
def total(lines):
    return sum(line["price"] * line["count"] for line in lines)


def render(lines, currency="EUR"):
    return f"Total: {total(lines)} {currency}"
EOF
git commit -q -am "Totals name their currency"
git checkout -q main
cat > invoice.py <<'EOF'
def total(lines, discount=0):
    whole = sum(line["price"] * line["count"] for line in lines)
    return whole * (100 - discount) // 100


def render(lines, discount=0):
    return f"Total: {total(lines, discount)}"
EOF
git commit -q -am "Discounts in per cent"
git merge -q currency || true
