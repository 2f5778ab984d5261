"""The one error that the program raises on purpose: what is wrong, where, and what to do.

Every step raises it, with all its offences at once; ``__main__`` hands the text to the engine.
"""

from collections.abc import Sequence


class EstateError(Exception):
    """A deployment that must not go on.

    ``problem`` is one sentence; each of ``offences`` is one line naming what, where and the remedy.
    """

    def __init__(self, problem: str, offences: Sequence[str] = ()) -> None:
        self.problem = problem
        self.offences = tuple(offences)
        super().__init__("\n".join([problem, *(f"  - {offence}" for offence in self.offences)]))
