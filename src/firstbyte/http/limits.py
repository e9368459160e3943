"""How large a form may be."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FormLimits:
    """What one form may make the server hold, within what its body may be; beyond each of them 413."""

    fields: int = 1000
    """Number of fields; Django's DATA_UPLOAD_MAX_NUMBER_FIELDS, PHP's max_input_vars."""
    files: int = 100
    """Number of files, empty ones too; Django's DATA_UPLOAD_MAX_NUMBER_FILES. Each may hold a descriptor."""
    field_bytes: int = 2_621_440
    """Bytes of all fields together, which are in memory; Django's DATA_UPLOAD_MAX_MEMORY_SIZE (2.5 MiB). Of a form
    that is application/x-www-form-urlencoded, of its body."""
    file_bytes: int | None = None
    """Bytes of one file; PHP's upload_max_filesize is 2 MiB. None: whatever the body may have (`Limits.body`)."""
    file_memory: int = 256 * 1024
    """The part of each file that is held in memory; what is longer goes to a temporary file (`Limits.body_memory`)."""
    headers: int = 8
    """Header lines of one part; RFC 7578 knows three, 8 is what the `multipart` library takes."""
    header_bytes: int = 4096 + 128
    """Bytes of one such line; again the library's."""
