"""How many records are asked for at once: less after every sign that it was too much."""


class PageSize:
    """Shared by the requests of one collection, so that all of them learn from one."""

    def __init__(self, size: int, smallest: int = 50) -> None:
        self.size = size
        self._smallest = smallest

    def halve(self) -> bool:
        """False if it cannot become smaller."""
        if self.size <= self._smallest:
            return False
        self.size = max(self.size // 2, self._smallest)
        return True
