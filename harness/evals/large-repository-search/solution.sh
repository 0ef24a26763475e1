echo heron-jade-2 > answer.txt
