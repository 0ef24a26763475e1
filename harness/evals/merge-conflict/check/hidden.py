import invoice

lines = [{"price": 10, "count": 10}]
assert invoice.render(lines) == "Total: 100 EUR"
assert invoice.render(lines, discount=25) == "Total: 75 EUR"
assert invoice.render(lines, currency="CHF") == "Total: 100 CHF"
assert invoice.render(lines, discount=10, currency="CHF") == "Total: 90 CHF"
assert invoice.total(lines) == 100 and invoice.total(lines, 50) == 50
