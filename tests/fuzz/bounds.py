"""How much is tried: a little, and the same each time, unless the profile `fuzz` says otherwise."""

from typing import Final

from hypothesis import HealthCheck, settings

_IS_LONG: Final = settings.get_current_profile_name() == "fuzz"


def bounded(examples: int) -> settings:
    """The number is that of a usual run of the tests."""
    slow = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]
    if _IS_LONG:
        return settings(deadline=None, suppress_health_check=slow)
    return settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=slow,
    )
