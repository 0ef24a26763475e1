python3 - <<'EOF'
import os
import random

draw = random.Random(4711)
words = ["amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "heron", "iris", "jade"]
names = [f"{a}-{b}-{n}" for a in words for b in words for n in range(4)]
draw.shuffle(names)
ports = draw.sample(range(20000, 60000), len(names))
variables = [f"PORT_{draw.randrange(16 ** 6):06X}_{at}" for at in range(len(names))]
for at, (name, port, variable) in enumerate(zip(names, ports, variables)):
    place = f"services/{at % 40:02}/{at:03}"
    os.makedirs(place)
    with open(f"{place}/service.cfg", "w") as file:
        file.write(f"name = {name}\nport = ${variable}\nowner = team-{at % 13}\n")
    with open(f"{place}/handler.py", "w") as file:
        file.write(f"# {name}\n\n\ndef handle(request):\n    return {{'status': 200, 'port': {draw.choice(ports)}}}\n" + "\n".join(f"# {draw.random()}" for _ in range(60)) + "\n")
os.makedirs("ports")
pairs = list(zip(variables, ports))
draw.shuffle(pairs)
for part in range(20):
    with open(f"ports/{part:02}.env", "w") as file:
        for variable, port in pairs[part::20]:
            file.write(f"{variable}={port}\n")
os.makedirs("clients")
asked = draw.sample(ports, 30)
asked[-1] = ports[names.index("heron-jade-2")]
with open("clients/monitor.cfg", "w") as file:
    file.write("# asked from top to bottom\n" + "".join(f"GET http://127.0.0.1:{port}/health\n" for port in asked))
EOF
git add -A
git commit -q -m "Services"
