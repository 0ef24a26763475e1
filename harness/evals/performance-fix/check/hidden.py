import random

from timeline import overlaps


def slowly(spans):
    return [(i, j) for i in range(len(spans)) for j in range(i + 1, len(spans))
            if spans[i][0] < spans[j][1] and spans[j][0] < spans[i][1]]


draw = random.Random(7)
for _ in range(300):
    spans = []
    for _ in range(draw.randrange(12)):
        start = draw.randrange(30)
        spans.append((start, start + draw.randrange(1, 9)))
    assert overlaps(spans) == slowly(spans), spans


class Counted(int):
    """A number that counts how often it is compared."""

    count = 0

    def _counted(name):
        def compare(self, other):
            Counted.count += 1
            if Counted.count > most:
                raise SystemExit(f"more than {most} comparisons for {size} spans")
            return getattr(int, name)(self, other)

        return compare

    __lt__, __le__, __gt__, __ge__, __eq__ = map(_counted, ["__lt__", "__le__", "__gt__", "__ge__", "__eq__"])
    __hash__ = int.__hash__


size = 3000
most = 60 * size
starts = list(range(size))
draw.shuffle(starts)
spans = [(Counted(start * 10), Counted(start * 10 + 8)) for start in starts]
assert overlaps(spans) == []
