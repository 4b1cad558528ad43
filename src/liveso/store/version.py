import re
from dataclasses import dataclass
from hashlib import sha256

_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Version:
    """One immutable content of a library. `digest` is its SHA-256, in hexadecimal; ValueError where it cannot be one,
    since what a target says becomes a path in the store by it."""

    digest: str

    def __post_init__(self) -> None:
        if not (isinstance(self.digest, str) and _DIGEST.fullmatch(self.digest)):
            raise ValueError(f"{self.digest!r:.80} is not a SHA-256 in hexadecimal")

    @classmethod
    def of(cls, content: bytes) -> "Version":
        """The version whose content this is."""
        return cls(sha256(content).hexdigest())

    def __str__(self) -> str:
        return self.digest[:12]
