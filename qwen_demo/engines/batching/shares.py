"""Who takes part in a step where each row costs time: nobody's many answers make another's few slow.

A step over eight rows takes a processor three times as long as one over a single row, so whoever has seven answers
running would slow the eighth down, whosever it is. An account that has more than `LENIENT` times as many requests
running as the one with the fewest sits out so many steps that it gets `LENIENT` times as many tokens as that one. On
a GPU rows cost next to nothing, and everybody takes part in every step.
"""

from collections.abc import Callable

from qwen_demo.engines.batching.job import Job
from qwen_demo.fairness import Account, Tally

LENIENT = 2


class StepShares:
    """Remembers which part of a step each account is owed.

    Args:
        rows_cost: whether a step over more rows takes longer; if not, all take part.
    """

    def __init__(self, rows_cost: Callable[[], bool] = lambda: True):
        self._rows_cost = rows_cost
        self._owed: dict[Account, float] = {}

    def taking_part(self, running: list[Job]) -> list[Job]:
        """Those of the running jobs that this step is for: all those of the account with the fewest at least."""
        if not self._rows_cost():
            return running
        rows = Tally()
        for job in running:
            rows.add(job.request.account, 1)
        accounts = {job.request.account: max(1, rows.of(job.request.account)) for job in running}
        fewest = min(accounts.values(), default=1)
        owed = {}
        for account, count in accounts.items():
            owed[account] = min(1.0, LENIENT * fewest / count) + self._owed.get(account, 0.0)
        now = {account for account, parts in owed.items() if parts >= 1 - 1e-9}
        self._owed = {account: parts - (account in now) for account, parts in owed.items()}
        return [job for job in running if job.request.account in now]
