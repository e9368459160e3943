"""Where uploads are kept: partial files that nobody is served, until the last byte is there; then a name of their own.

Every folder is reached by descriptors, each opened within the one above it and without following links. So no name, and
no link that appears meanwhile, leads out of the root.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import stat
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from posixpath import splitext
from time import time
from typing import NamedTuple, TypeAlias

from firstbyte.errors import ConfigurationError, HTTPError
from firstbyte.http.filenames import names_from, safe_name

PARTIALS = ".firstbyte-uploads"
"""The folder in the root that holds what is not complete; a name with a dot in front is neither served nor uploaded."""
DEPTH = 32  # folders above a file that is uploaded with its folders
_TRIES = 50  # numbers that are tried behind a name before one is drawn
_LOOK = 16 << 20  # bytes written between two looks at the room that is left
_SWEEP = 600.0  # seconds between two looks for partial files that nobody goes on with
_ORPHAN = 60.0  # seconds after which a partial file that cannot be resumed, and nobody writes, is thrown away


@dataclass(frozen=True, slots=True)
class UploadLimits:
    """What uploads may take. Raises ValueError for a value below zero."""

    file_bytes: int | None = None
    """Bytes of one file; beyond them 413. None: as many as there is room for."""
    free_bytes: int = 256 << 20
    """Bytes of the file system that uploads leave free; where they would not, 507."""
    at_once: int = 32
    """Uploads that are received at one time, of the server's 64 threads; further ones get a 503 and try again."""
    keep: float = 86_400.0
    """Seconds that a broken upload can be resumed after its last byte; then it is thrown away."""
    unfinished: int = 1000
    """Uploads that are begun and not complete, of which each takes a file; further ones get a 503 until some are."""

    def __post_init__(self) -> None:
        for name in self.__slots__:
            value = getattr(self, name)
            if value is not None and value < 0:
                raise ValueError(f"the upload limit {name} is {value}: it cannot be below 0")


class Saved(NamedTuple):
    """What a file has become: in which folders below the root, under which name, whether it took another's place."""

    folders: tuple[str, ...]
    name: str
    replaced: bool
    facts: os.stat_result


Condition: TypeAlias = Callable[["os.stat_result | None"], None]
"""Is told what has a name now, if anything has, and raises HTTPError 412 if that is not what the client expects."""


class Partial:
    """A file that is being received, locked against all others that would write it; `size` bytes of it are there."""

    def __init__(self, store: Store, identifier: str, fd: int) -> None:
        self.identifier = identifier
        self.fd = fd
        self.size = os.fstat(fd).st_size
        self._store = store
        self._look_at = self.size  # the size from which the room is looked at again

    def write(self, piece: bytes) -> None:
        """Adds a piece. Raises HTTPError 413 for more than a file may have, 507 if there is no room for it."""
        limit = self._store.limits.file_bytes
        if limit is not None and self.size + len(piece) > limit:
            raise too_large(limit)
        if self.size >= self._look_at:
            self._store.check_room(len(piece))
            self._look_at = self.size + _LOOK
        view = memoryview(piece)
        with _room():
            while view:
                written = os.write(self.fd, view)
                self.size += written
                view = view[written:]

    def cut(self, size: int) -> None:
        """Throws away what stands behind `size` bytes."""
        os.ftruncate(self.fd, size)
        os.lseek(self.fd, size, os.SEEK_SET)
        self.size = self._look_at = size

    def close(self) -> None:
        """Unlocks it."""
        os.close(self.fd)

    def discard(self) -> None:
        """Throws it away, and what is kept about it."""
        self._store.forget(self.identifier)


class Store:
    """The folder `root` as uploads see it. With `overwrite` a file may take the place of another of its name. Nothing
    comes into the folders `without`.

    Raises ConfigurationError if there is no such folder.
    """

    def __init__(
        self,
        root: str | Path,
        limits: UploadLimits | None = None,
        *,
        overwrite: bool = False,
        without: Iterable[str | Path] = (),
    ) -> None:
        self.root = Path(root).resolve()
        if not self.root.is_dir():
            raise ConfigurationError(f"there is no folder {root} to upload to")
        self.limits = limits or UploadLimits()
        self.overwrite = overwrite
        self._without = {_identity(Path(each).stat()) for each in without}
        self._swept = float("-inf")

    # -- what is checked before a byte is read

    def check_size(self, length: int | None) -> None:
        """Raises HTTPError for what cannot be taken: 413 for `length` bytes that are too many, 507 without room."""
        limit = self.limits.file_bytes
        if limit is not None and length is not None and length > limit:
            raise too_large(limit)
        self.check_room(length or 0)

    def check_room(self, length: int) -> None:
        """Raises HTTPError 507 if `length` bytes more would leave less free than must be."""
        facts = os.statvfs(self.root)
        free = facts.f_bavail * facts.f_frsize - self.limits.free_bytes
        if length > free:
            raise HTTPError(507, f"there is no room for it: {max(0, free)} bytes are free for uploads")

    def check_number(self) -> None:
        """Raises HTTPError 503 if as many uploads are not complete as may be."""
        self.sweep()
        with self.partials() as folder:
            unfinished = sum("." not in name for name in _names(folder))
        if unfinished >= self.limits.unfinished:
            raise HTTPError(503, f"{unfinished} uploads are begun and not complete", {"Retry-After": "60"})

    def check_folder(self, folders: Sequence[str], *, exists: bool = False) -> None:
        """Raises HTTPError for a folder that cannot be uploaded to: 400 for a bad name, 403 for a hidden one, 409 for a
        link or a file; and, where it is to be one that `exists`, 404."""
        with self._folder(folders) as folder:
            if exists and folder.fd is None:
                raise HTTPError(404, "there is no such folder")

    def check_name(self, folders: Sequence[str], name: str, condition: Condition | None = None) -> None:
        """Raises HTTPError as `check_folder` does, and if that very name cannot be given: 400 for a bad one, 409 for
        one that is taken. `condition` is asked before that."""
        with self._folder(folders) as folder:
            _check_new(name)
            if condition is not None:
                condition(None if folder.fd is None else _facts(folder.fd, name))
            taken = None if folder.fd is None else _as_written(folder.fd, name)
            if taken is not None and not self.overwrite:
                raise _is_there(taken)

    # -- partial files

    def begin(self, identifier: str | None = None) -> Partial:
        """A new partial file."""
        self.sweep()
        identifier = identifier or os.urandom(16).hex()
        with self.partials() as folder, _room():
            fd = os.open(identifier, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666, dir_fd=folder)
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return Partial(self, identifier, fd)

    def go_on(self, identifier: str) -> Partial:
        """The partial file of that name. Raises FileNotFoundError, and HTTPError 423 while another has it."""
        with self.partials() as folder:
            fd = os.open(identifier, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
            is_ours = _lock(fd)
            facts = _facts(folder, identifier)
        if not is_ours:
            os.close(fd)
            raise HTTPError(423, "this upload is being received over another connection", {"Retry-After": "1"})
        if facts is None or _identity(facts) != _identity(os.fstat(fd)):  # it got its name, or was given up, meanwhile
            os.close(fd)
            raise FileNotFoundError(errno.ENOENT, "the upload is complete or given up")
        os.lseek(fd, 0, os.SEEK_END)
        return Partial(self, identifier, fd)

    @contextmanager
    def partials(self) -> Iterator[int]:
        """A descriptor of the folder of partial files."""
        root = os.open(self.root, _FOLDER & ~os.O_NOFOLLOW)
        try:
            with suppress(FileExistsError):
                os.mkdir(PARTIALS, 0o700, dir_fd=root)
            folder = os.open(PARTIALS, _FOLDER, dir_fd=root)
        finally:
            os.close(root)
        try:
            yield folder
        finally:
            os.close(folder)

    def forget(self, identifier: str) -> None:
        """Throws away a partial file and what is kept about it; nothing happens if there is none."""
        with self.partials() as folder:
            for name in (identifier, f"{identifier}.json", f"{identifier}.new"):
                with suppress(FileNotFoundError):
                    os.unlink(name, dir_fd=folder)

    def sweep(self) -> None:
        """Throws away, every ten minutes, what was begun and nobody goes on with (`UploadLimits.keep`)."""
        now = time()
        if now - self._swept < _SWEEP:
            return
        self._swept = now
        with self.partials() as folder:
            touched: dict[str, float] = {}  # identifier -> when something of it was last written
            names = set(_names(folder))
            names.discard(_NAMING)
            for name in names:
                if (facts := _facts(folder, name)) is not None:
                    identifier = name.partition(".")[0]
                    touched[identifier] = max(facts.st_mtime, touched.get(identifier, 0.0))
            for identifier, last in touched.items():
                age = self.limits.keep if f"{identifier}.json" in names else _ORPHAN
                if now - last > age and not self._is_busy(folder, identifier):
                    self.forget(identifier)

    # -- what is kept about a partial file that can be resumed

    def note(self, identifier: str, facts: bytes) -> None:
        """Keeps facts about a partial file, in place of those before."""
        with self.partials() as folder, _room():
            new = f"{identifier}.new"
            fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600, dir_fd=folder)
            with os.fdopen(fd, "wb") as file:
                file.write(facts)
            os.replace(new, f"{identifier}.json", src_dir_fd=folder, dst_dir_fd=folder)

    def noted(self, identifier: str) -> tuple[bytes, int | None, float]:
        """The facts, the size of the partial file (None if it is gone) and when it was last written.

        Raises FileNotFoundError.
        """
        with self.partials() as folder:
            fd = os.open(f"{identifier}.json", os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
            with os.fdopen(fd, "rb") as file:
                facts, written = file.read(), os.fstat(fd).st_mtime
            partial = _facts(folder, identifier)
        if partial is None:
            return facts, None, written
        return facts, partial.st_size, max(written, partial.st_mtime)

    # -- names

    def commit(
        self,
        partial: Partial,
        folders: Sequence[str],
        name: str,
        *,
        exact: bool = False,
        condition: Condition | None = None,
    ) -> Saved:
        """Gives a complete file its name, in folders that are made if need be: at once, and when it is on the disk.

        The name is that one, or with `overwrite` replaces what has it; if it is taken, it is one like it, unless it is
        to be that `exact` one: then HTTPError 409. Names are made safe, and told apart without regard to case and
        composition, since other systems do not have both. `condition` is asked just before. Raises HTTPError also for
        folders that cannot be.
        """
        if not exact:
            name = safe_name(unicodedata.normalize("NFC", name)) or "upload"
        with _room(), self._folder(folders, make=True) as place, self.partials() as source:
            os.fsync(partial.fd)
            try:
                with _locked(source):
                    saved = self._name(source, partial.identifier, place, name, exact, condition)
            except OSError as error:
                if error.errno != errno.EXDEV:
                    raise
                with _copied(partial, place) as near, _locked(source):
                    saved = self._name(place.opened, near, place, name, exact, condition)
            with suppress(FileNotFoundError):
                os.unlink(partial.identifier, dir_fd=source)
            return saved

    def _name(
        self, source: int, there: str, place: _Folder, name: str, exact: bool, condition: Condition | None
    ) -> Saved:
        """Makes the file `there`, in the folder `source`, the one of that name, or one like it, in one step."""
        folder = place.opened
        facts = _facts(folder, name)
        if condition is not None:
            condition(facts)
        if self.overwrite:
            if facts is not None and stat.S_ISDIR(facts.st_mode):
                raise _is_there(name)
            os.replace(there, name, src_dir_fd=source, dst_dir_fd=folder)
            return Saved(place.names, name, facts is not None, _stat(folder, name))
        taken = {_folded(each): each for each in _names(folder)}
        for free in _free_names(name):
            if _folded(free) not in taken:
                with suppress(FileExistsError):
                    _link(source, there, folder, free)
                    return Saved(place.names, free, False, _stat(folder, free))
            if exact:
                raise _is_there(taken.get(_folded(free), free))
        raise HTTPError(409, f"{name!r} is taken, and so is every other name that was tried")

    @contextmanager
    def _folder(self, folders: Sequence[str], *, make: bool = False) -> Iterator[_Folder]:
        """A folder below the root, which is not there yet if it is not to be made."""
        if len(folders) > DEPTH:
            raise HTTPError(400, f"there are more than {DEPTH} folders above the file")
        names: list[str] = []
        fd: int | None = os.open(self.root, _FOLDER & ~os.O_NOFOLLOW)
        try:
            for name in folders:
                above = fd
                fd, actual = self._enter(above, name, make)
                names.append(actual)
                if above is not None:
                    os.close(above)
            yield _Folder(fd, tuple(names))
        finally:
            if fd is not None:
                os.close(fd)

    def _enter(self, above: int | None, name: str, make: bool) -> tuple[int | None, str]:
        """A folder within another, and its name: in other letters than were asked for, if it is there in those."""
        if name.startswith(".") or not name or "/" in name or "\0" in name:
            raise HTTPError(403, f"{name!r} is hidden, or no name: nothing is uploaded to there")
        if above is None:
            _check_new(name)
            return None, name
        try:
            if _facts(above, name) is None:
                taken = _as_written(above, name)
                if taken is None:
                    _check_new(name)
                    if not make:
                        return None, name
                    with _room(), suppress(FileExistsError):
                        os.mkdir(name, dir_fd=above)
                name = taken or name
            if (facts := _facts(above, name)) is not None and _identity(facts) in self._without:
                raise HTTPError(403, f"nothing is uploaded to {name!r}")
            return os.open(name, _FOLDER, dir_fd=above), name
        except OSError as error:
            if error.errno in (errno.ENOTDIR, errno.ELOOP):
                raise HTTPError(409, f"{name!r} is no folder, or a link, which uploads do not follow") from None
            if error.errno == errno.ENAMETOOLONG:
                raise HTTPError(400, "the name of a folder is too long") from None
            if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
                raise HTTPError(403, f"the server may not write to {name!r}") from None
            raise

    def _is_busy(self, folder: int, identifier: str) -> bool:
        try:
            fd = os.open(identifier, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)  # NFS locks no other
        except FileNotFoundError:
            return False
        try:
            return not _lock(fd)
        finally:
            os.close(fd)


class _Folder(NamedTuple):
    fd: int | None  # None if it is not there yet
    names: tuple[str, ...]  # from the root to it, as they are written there

    @property
    def opened(self) -> int:
        """Its descriptor, where it is there."""
        assert self.fd is not None
        return self.fd


def too_large(limit: int) -> HTTPError:
    """The answer to a file that is longer than one may be."""
    return HTTPError(413, f"a file may have {limit} bytes")


_NAMING = ".naming"  # in the folder of partial files: who gives a name, in whatever process, has it locked
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NO_LINKS = frozenset((errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK))
_FULL = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EFBIG))


@contextmanager
def _room() -> Iterator[None]:
    """Turns the errors of a full or closed file system into the answer to whoever wants to write."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise HTTPError(507, f"there is no room for it: {error.strerror}") from None
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise HTTPError(403, f"the server may not write there: {error.strerror}") from None
        raise


def _lock(fd: int) -> bool:
    """Locks a file until it is closed; False if somebody else has."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def _locked(partials: int) -> Iterator[None]:
    """Lets one at a time through, of all threads and processes: from the look at the names until one is taken."""
    fd = os.open(_NAMING, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=partials)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def _link(source: int, there: str, folder: int, name: str) -> None:
    """Gives a file another name, in a folder. Raises FileExistsError if that is taken."""
    try:
        os.link(there, name, src_dir_fd=source, dst_dir_fd=folder, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        # A file system without hard links: an empty file has the name until this one takes its place.
        os.close(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, dir_fd=folder))
        try:
            os.replace(there, name, src_dir_fd=source, dst_dir_fd=folder)
        except BaseException:
            os.unlink(name, dir_fd=folder)
            raise


@contextmanager
def _copied(partial: Partial, place: _Folder) -> Iterator[str]:
    """A copy of a partial file in a folder that is on another file system; its name there."""
    folder, near = place.opened, f".{partial.identifier}.part"
    fd = os.open(near, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666, dir_fd=folder)
    try:
        with os.fdopen(fd, "wb") as copy, os.fdopen(os.dup(partial.fd), "rb") as original:
            original.seek(0)
            shutil.copyfileobj(original, copy)
            copy.flush()
            os.fsync(fd)
        yield near
    finally:
        with suppress(FileNotFoundError):
            os.unlink(near, dir_fd=folder)


def _identity(facts: os.stat_result) -> tuple[int, int]:
    return facts.st_dev, facts.st_ino


def _stat(folder: int, name: str) -> os.stat_result:
    return os.stat(name, dir_fd=folder, follow_symlinks=False)


def _facts(folder: int, name: str) -> os.stat_result | None:
    """What has that very name in a folder, if anything has."""
    try:
        return _stat(folder, name)
    except FileNotFoundError:
        return None


def _as_written(folder: int, name: str) -> str | None:
    """What has this name in a folder, in whatever case and composition; None if it is free."""
    if _facts(folder, name) is not None:
        return name
    wanted = _folded(name)
    return next((each for each in _names(folder) if _folded(each) == wanted), None)


def _names(folder: int) -> Iterator[str]:
    with os.scandir(folder) as entries:
        for entry in entries:
            yield entry.name


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def _free_names(name: str) -> Iterator[str]:
    stem, ending = splitext(name)
    yield from islice(names_from(name), _TRIES)
    yield f"{stem}-{os.urandom(8).hex()}{ending}"


def _check_new(name: str) -> None:
    """Raises HTTPError 400 for a name that is not safe to give."""
    safe = safe_name(name)
    if safe != name:
        instead = f": {safe!r} would be" if safe else ""
        raise HTTPError(400, f"{name[:100]!r} is not a name that is safe on every system{instead}")


def _is_there(name: str) -> HTTPError:
    return HTTPError(409, f"{name!r} is there already, and nothing is overwritten here")
