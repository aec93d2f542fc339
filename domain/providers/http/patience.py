"""How long a request is tried."""

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Patience:
    """Attempts in total; waits and time-outs in seconds."""

    attempts: int = 6
    first_wait: float = 0.5  # doubles with each attempt, full jitter
    longest_wait: float = 60.0
    longest_retry_after: float = 300.0  # a provider that asks for more fails the run
    connect: float = 10.0
    read: float = 60.0  # between bytes
    request: float = 300.0  # one attempt as a whole: a slow drip ends here

    def wait_after(self, attempt: int, chance: float) -> float:
        """Seconds to wait after this many attempts. `chance` is from 0 to 1 (full jitter).

        Full, since every tenant's run is refused at the same moment and must not come back so.
        """
        # Beyond 2**60 any wait is the longest, and a float would run over.
        return chance * min(self.longest_wait, self.first_wait * 2.0 ** min(attempt - 1, 60))

    def hasty(self) -> "Patience":
        """For what somebody waits for, or what is asked again soon anyway; never more than this."""
        return replace(
            self,
            attempts=min(self.attempts, 2),
            longest_wait=min(self.longest_wait, 5.0),
            longest_retry_after=min(self.longest_retry_after, 5.0),
            read=min(self.read, 15.0),
            request=min(self.request, 15.0),
        )
