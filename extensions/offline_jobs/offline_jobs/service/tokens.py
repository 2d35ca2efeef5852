"""An attempt's token: HMAC over job and attempt, so that nothing need be stored.

The reconciler makes one for each launch, the runner's side of the web layer checks it. It opens
that attempt's endpoints and nothing else.
"""

import hashlib
import hmac

_MIN_KEY_BYTES = 16


class Tokens:
    """Makes and checks the tokens of attempts with one secret key."""

    def __init__(self, key: bytes) -> None:
        if len(key) < _MIN_KEY_BYTES:
            raise ValueError("the key of the attempts' tokens is too short")
        self._key = key

    def make(self, job: str, attempt: int) -> str:
        """The token of one attempt, 64 hexadecimal digits."""
        return hmac.new(self._key, f"{job}/{attempt}".encode(), hashlib.sha256).hexdigest()

    def check(self, token: str, job: str, attempt: int) -> bool:
        """Whether ``token`` is that attempt's; takes the same time wherever it differs."""
        return hmac.compare_digest(token.encode(), self.make(job, attempt).encode())
