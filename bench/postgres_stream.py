def measure(bench):
    return [], ""
