"""How much one container may unpack to: what is behind a limit is refused, and said."""

from __future__ import annotations

from dataclasses import dataclass

from lakehouse.errors import RejectedInputError

FREE_BYTES = 64 << 20
"""So much may come out of any container, however small it is."""


@dataclass(slots=True)
class Budget:
    """What one container has unpacked, and what it may.

    Attributes:
        packed: Bytes of the container.
        max_members: Files that it may hold.
        max_bytes: Bytes that it may unpack to.
        max_ratio: Unpacked bytes for each packed one, beyond `FREE_BYTES`.
        members: Files so far.
        unpacked: Bytes so far.
    """

    packed: int
    max_members: int
    max_bytes: int
    max_ratio: float
    members: int = 0
    unpacked: int = 0

    def count(self) -> None:
        """Count one more file.

        Raises:
            RejectedInputError: If there are too many.
        """
        self.members += 1
        if self.members > self.max_members:
            raise RejectedInputError(
                "archive_bomb", f"more than {self.max_members} files; what is behind them is not read: raise "
                "land.max_members if the archive is to be trusted"
            )

    def spend(self, size: int) -> None:
        """Count bytes that came out, or are said to come.

        Raises:
            RejectedInputError: If they are too many.
        """
        self.unpacked += size
        self._check(self.unpacked)

    def expect(self, size: int) -> None:
        """Refuse bytes that are said to come, which count when they do, before the first of them is unpacked.

        Raises:
            RejectedInputError: If they will be too many.
        """
        self._check(self.unpacked + size)

    def _check(self, unpacked: int) -> None:
        if unpacked > self.max_bytes:
            raise RejectedInputError(
                "archive_bomb", f"unpacks to more than {self.max_bytes} bytes; what is behind them is not read: raise "
                "land.max_unpacked_bytes if the archive is to be trusted"
            )
        if unpacked > FREE_BYTES and unpacked > self.max_ratio * self.packed:
            raise RejectedInputError(
                "archive_bomb", f"{self.packed} bytes unpack to {unpacked} and more, above {self.max_ratio:g} for "
                "each; what is behind them is not read: raise land.max_unpacked_ratio if the archive is to be trusted"
            )
