"""Python's garbage collector, spared most of its work in processes that run for long."""

import gc


def calm_collector() -> None:
    """For a process that makes many objects and few cycles: a worker's records, an API's answers.

    What is loaded by now stays and is not looked through again; new objects are looked through
    once in a hundred thousand instead of once in seven hundred.
    """
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)
