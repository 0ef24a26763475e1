def overlaps(spans):
    """Pairs (i, j), i < j, of spans (start, end) that share more than an end, in order of i, then j."""
    pairs = []
    for i in range(len(spans)):
        for j in range(i + 1, len(spans)):
            if spans[i][0] < spans[j][1] and spans[j][0] < spans[i][1]:
                pairs.append((i, j))
    return pairs
