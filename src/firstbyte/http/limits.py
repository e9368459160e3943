"""How large a form may be."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True)
class FormLimits:
    """What one form may make the server hold, within what its body may be; beyond each of them 413.

    Raises ValueError for a value below zero.
    """

    fields: int = 1000
    """Number of fields; Django's DATA_UPLOAD_MAX_NUMBER_FIELDS, PHP's max_input_vars."""
    files: int = 100
    """Number of files, empty ones too; Django's DATA_UPLOAD_MAX_NUMBER_FILES. Each may hold a descriptor."""
    field_bytes: int = 2_621_440
    """Bytes of all fields together, which are in memory; Django's DATA_UPLOAD_MAX_MEMORY_SIZE (2.5 MiB). Of a form
    that is application/x-www-form-urlencoded, of its body."""
    file_bytes: int | None = None
    """Bytes of one file; PHP's upload_max_filesize is 2 MiB. None: whatever the body may have (`Limits.body`)."""
    file_memory: int = 64 * 1024
    """The length up to which a file is held in memory, as in the `multipart` library; a longer one goes to a temporary
    file. With as many files as there may be it is 6 MiB."""
    headers: int = 8
    """Header lines of one part; RFC 7578 knows three, 8 is what the library takes."""
    header_bytes: int = 4096 + 128
    """Bytes of one such line; again the library's."""

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            if value is not None and value < 0:
                raise ValueError(f"limit {each.name} is {value}: it cannot be below 0")
