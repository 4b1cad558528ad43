"""What was used last, kept within a bound."""

from collections import OrderedDict
from collections.abc import Callable
from threading import Lock
from typing import Generic, TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")


class Recent(Generic[Key, Value]):
    """Values by key. Those that were not used for longest go when all of them weigh more than `most` together, but the
    last `least` stay. Safe to use from several threads."""

    def __init__(self, most: int, weigh: Callable[[Value], int] = lambda _value: 1, least: int = 0) -> None:
        self._most, self._weigh, self._least = most, weigh, least
        self._values: OrderedDict[Key, Value] = OrderedDict()
        self._weight = 0
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._values)

    def get(self, key: Key) -> Value | None:
        with self._lock:
            if key not in self._values:
                return None
            self._values.move_to_end(key)
            return self._values[key]

    def put(self, key: Key, value: Value) -> None:
        with self._lock:
            self._remove(key)
            self._values[key] = value
            self._weight += self._weigh(value)
            while self._weight > self._most and len(self._values) > self._least:
                self._remove(next(iter(self._values)))

    def drop(self, is_gone: Callable[[Key, Value], bool]) -> None:
        """Forget all for which `is_gone` holds."""
        with self._lock:
            for key in [key for key, value in self._values.items() if is_gone(key, value)]:
                self._remove(key)

    def _remove(self, key: Key) -> None:
        if key in self._values:
            self._weight -= self._weigh(self._values.pop(key))
