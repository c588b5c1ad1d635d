"""The quota block: how long no request is sent after the API said that the quota has ended, or a ledger was lost."""

from datetime import datetime, timedelta

from pipeline.instants import Nanoseconds, nanoseconds
from pipeline.model.slots import LONGEST_BLOCK, Block

BY_THE_API = "the API said that the quota has ended"
"""The reason of a block that has none of its own."""
FIRST_BLOCK = timedelta(hours=1)
"""The first block's length. It doubles each time the API says the same again, up to LONGEST_BLOCK."""


class QuotaBlock:
    """The block that is in force, if any. A value with no clock: instants are arguments."""

    def __init__(self, block: Block | None, *, last_request_id: int, wall: datetime, monotonic: Nanoseconds) -> None:
        self._block = block
        self._covers = last_request_id
        self.until = monotonic
        """When requests may be sent again, on the monotonic clock."""
        if block is not None:
            self.until += nanoseconds(max(min(block.until - wall, block.longest), timedelta()))

    @property
    def is_set(self) -> bool:
        """Whether the API's last word is that the quota has ended, also after `until`."""
        return self._block is not None

    @property
    def reason(self) -> str:
        """Why nothing may be requested."""
        return (self._block and self._block.reason) or BY_THE_API

    def covers(self, request_id: int) -> bool:
        """Whether the request was out when the block was set, so that its refusal says nothing new."""
        return request_id <= self._covers

    def extend(self, *, last_request_id: int, wall: datetime, monotonic: Nanoseconds) -> Block:
        """Block for an hour, or for twice as long as the last time. Return the block, to be stored."""
        last = self._block.until - self._block.since if self._block else timedelta()
        length = min(2 * last, LONGEST_BLOCK) if last else FIRST_BLOCK
        self._block = Block(wall, wall + length)
        self._covers = last_request_id
        self.until = monotonic + nanoseconds(length)
        return self._block

    def lift(self) -> None:
        """Forget the block: the API has answered."""
        self._block = None
