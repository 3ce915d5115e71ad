"""What the processes of one study know of each other's traffic: a small file of numbers, and locks on its bytes.

The kernel drops a process's locks when it dies, however it dies, so a killed process frees its slots at once and nobody
needs leases or heartbeats. Each process also counts the calls it sent and the calls it settled; a dead process's
difference is the number of calls that were in flight when it was killed.
"""

import contextlib
import os
import struct
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from agentmicro.errors import AgentmicroError

try:
    import fcntl
except ImportError:  # Windows has no such locks: there each process keeps its own board
    fcntl = None  # type: ignore[assignment]

MEMBERS = 256  # processes at one study
STATE = struct.Struct("8d")
TOP = struct.Struct("d")
MEMBER = struct.Struct("3d")
TOP_AT = STATE.size
MEMBERS_AT = TOP_AT + TOP.size
SIZE = MEMBERS_AT + MEMBERS * MEMBER.size
STATE_LOCK = 1 << 20  # locks lie beyond the file's end, where no bytes are needed
MEMBER_LOCKS = STATE_LOCK + 1
SLOT_LOCKS = MEMBER_LOCKS + MEMBERS


class BoardError(AgentmicroError):
    """The file that processes share cannot be used."""


@dataclass(slots=True)
class State:
    """What the limiter knows, in seconds of the machine's monotonic clock; a limit of 0 is one not yet set.

    limit: calls in flight that the server seems to bear. episode: until when 429s belong to the last cut. paused: until
    when nothing is sent. calm: until when the limit does not grow. The levels of the two buckets, and when they held.
    """

    limit: float = 0.0
    episode: float = 0.0
    paused: float = 0.0
    calm: float = 0.0
    requests: float = 0.0
    requests_at: float = 0.0
    tokens: float = 0.0
    tokens_at: float = 0.0

    def packed(self) -> bytes:
        """The state as the file has it."""
        return STATE.pack(
            *(self.limit, self.episode, self.paused, self.calm),
            *(self.requests, self.requests_at, self.tokens, self.tokens_at),
        )


class Board(Protocol):
    """The state of one study's traffic, its slots, and the count of calls in flight."""

    interrupted: int

    def state(self) -> AbstractContextManager[State]:
        """The state, for this process alone as long as the context lasts."""
        ...

    def peek(self) -> State:
        """The state as it is now, to look at and not to change."""
        ...

    def take(self, slot: int) -> bool:
        """Takes a slot that this process does not hold; False when another process has it."""
        ...

    def free(self, slot: int) -> None:
        """Gives a slot back."""
        ...

    def hungry(self, waiting: bool) -> None:
        """Tells the other processes whether this one waits for slots."""
        ...

    def rivals(self) -> int:
        """How many other living processes wait for slots."""
        ...

    def sent(self) -> None:
        """Counts a call that leaves."""
        ...

    def settled(self) -> None:
        """Counts a call whose end is known and, if it gave a reply, recorded."""
        ...

    def close(self) -> None:
        """Leaves the board."""
        ...


class Alone:
    """The board of a process that shares its traffic with nobody."""

    def __init__(self) -> None:
        self.interrupted = 0
        self._state = State()

    @contextmanager
    def state(self) -> Iterator[State]:
        """The state."""
        yield self._state

    def peek(self) -> State:
        """The state."""
        return self._state

    def take(self, slot: int) -> bool:
        """Every slot is free."""
        return True

    def free(self, slot: int) -> None:
        """Nobody else wants it."""

    def hungry(self, waiting: bool) -> None:
        """Nobody else listens."""

    def rivals(self) -> int:
        """There are none."""
        return 0

    def sent(self) -> None:
        """Nobody would read the count."""

    def settled(self) -> None:
        """Nobody would read the count."""

    def close(self) -> None:
        """Nothing to leave."""


class Together:
    """The board of several processes: use `board_at`, because locks belong to the process and not to the object."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.users = 0
        self._counts = [0.0, 0.0, 0.0]
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
            try:
                fcntl.lockf(self._file, fcntl.LOCK_EX, 1, STATE_LOCK)
                self._join()
                self._unlock(STATE_LOCK)
            except BaseException:
                os.close(self._file)
                raise
        except OSError as error:
            raise BoardError(f"{path}: the study's traffic cannot be shared here: {error.strerror}") from None

    def _join(self) -> None:
        if os.fstat(self._file).st_size < SIZE:
            os.pwrite(self._file, bytes(SIZE), 0)  # real bytes now, so that a full disk is found here and not later
        dead = [member for member in range(MEMBERS) if self._try(MEMBER_LOCKS + member)]
        self.interrupted = sum(map(self._harvest, dead))
        if not dead:
            raise BoardError(f"{self.path}: {MEMBERS} processes work on this study already")
        self._member = dead[0]
        for member in dead[1:]:
            self._unlock(MEMBER_LOCKS + member)
        (top,) = TOP.unpack(os.pread(self._file, TOP.size, TOP_AT))
        if len(dead) == MEMBERS:  # nobody else is here: what the last ones learned may be from before a reboot
            os.pwrite(self._file, State().packed(), 0)
            top = 0.0
        os.pwrite(self._file, TOP.pack(max(top, self._member + 1.0)), TOP_AT)

    def _harvest(self, member: int) -> int:
        place = MEMBERS_AT + member * MEMBER.size
        _, sent, settled = MEMBER.unpack(os.pread(self._file, MEMBER.size, place))
        if sent:
            os.pwrite(self._file, bytes(MEMBER.size), place)
        return int(sent - settled)

    def _try(self, byte: int) -> bool:
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, byte)
        except (BlockingIOError, PermissionError):
            return False
        return True

    def _unlock(self, byte: int) -> None:
        fcntl.lockf(self._file, fcntl.LOCK_UN, 1, byte)

    @contextmanager
    def state(self) -> Iterator[State]:
        """The state, under its lock."""
        fcntl.lockf(self._file, fcntl.LOCK_EX, 1, STATE_LOCK)
        try:
            state = self.peek()
            yield state
            os.pwrite(self._file, state.packed(), 0)
        finally:
            self._unlock(STATE_LOCK)

    def peek(self) -> State:
        """The state; it is read and written as a whole."""
        return State(*STATE.unpack(os.pread(self._file, STATE.size, 0)))

    def take(self, slot: int) -> bool:
        """Locks the slot's byte if no other process has."""
        return self._try(SLOT_LOCKS + slot)

    def free(self, slot: int) -> None:
        """Unlocks the slot's byte."""
        self._unlock(SLOT_LOCKS + slot)

    def hungry(self, waiting: bool) -> None:
        """Writes it where the others look."""
        if self._counts[0] != waiting:
            self._count(0, float(waiting))

    def rivals(self) -> int:
        """How many other members wait; one that died waiting is struck off."""
        (top,) = TOP.unpack(os.pread(self._file, TOP.size, TOP_AT))
        if top <= 1 and self._member == 0:
            return 0
        members = os.pread(self._file, int(top) * MEMBER.size, MEMBERS_AT)
        waiting = [member for member, (hungry, _, _) in enumerate(MEMBER.iter_unpack(members)) if hungry]
        return sum(member != self._member and self._lives(member) for member in waiting)

    def _lives(self, member: int) -> bool:
        if not self._try(MEMBER_LOCKS + member):
            return True
        os.pwrite(self._file, bytes(TOP.size), MEMBERS_AT + member * MEMBER.size)
        self._unlock(MEMBER_LOCKS + member)
        return False

    def sent(self) -> None:
        """One more call sent."""
        self._count(1, self._counts[1] + 1)

    def settled(self) -> None:
        """One more call settled."""
        self._count(2, self._counts[2] + 1)

    def _count(self, which: int, value: float) -> None:
        self._counts[which] = value
        os.pwrite(self._file, TOP.pack(value), MEMBERS_AT + self._member * MEMBER.size + which * TOP.size)

    def close(self) -> None:
        """The last user in this process leaves: its locks go, its counts stay for the next one to read."""
        self.users -= 1
        if not self.users:
            _BOARDS.pop((os.getpid(), self.path), None)
            with contextlib.suppress(OSError):
                self.hungry(False)
                os.close(self._file)


_BOARDS: dict[tuple[int, Path], Together] = {}


def board_at(path: Path | None) -> Board:
    """The board at a path, one object in each process; without a path, or where bytes cannot be locked, `Alone`."""
    if path is None or fcntl is None:
        return Alone()
    place = (os.getpid(), path.resolve())
    if place not in _BOARDS:
        _BOARDS[place] = Together(place[1])
    board = _BOARDS[place]
    board.users += 1
    return board
