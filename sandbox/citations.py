"""What a rule of an embedded double cites: a page, with its title and its address.

Owns that form and nothing else. Reads nothing.
"""

from enum import Enum


class CitedPage(Enum):
    """A page by name: each member's value is its title and its address."""

    @property
    def title(self) -> str:
        """The page's title."""
        return str(self.value[0])

    @property
    def address(self) -> str:
        """Where the page is."""
        return str(self.value[1])
