def overlaps(spans):
    """Pairs (i, j), i < j, of spans (start, end) that share more than an end, in order of i, then j."""
    order = sorted(range(len(spans)), key=lambda index: spans[index][0])
    pairs = []
    for at, one in enumerate(order):
        end = spans[one][1]
        for other in order[at + 1 :]:
            if spans[other][0] >= end:
                break
            if spans[one][0] < spans[other][1]:
                pairs.append((one, other) if one < other else (other, one))
    return sorted(pairs)
