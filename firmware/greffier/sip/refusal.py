"""What every parser of this room raises when it cannot use its input."""


class Refused(ValueError):
    """The input holds nothing usable.

    ``reason`` is one fixed sentence and never quotes the input (it may hold numbers or keys);
    ``offset`` is where reading stopped: bytes into bytes, characters into text.
    """

    def __init__(self, reason: str, offset: int = 0) -> None:
        super().__init__(f"{reason} (at {offset})")
        self.reason = reason
        self.offset = offset
