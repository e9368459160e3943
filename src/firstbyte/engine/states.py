"""What a connection is waiting for. Plain integers, since they are compared several times for every request."""

from __future__ import annotations

HEAD = 0  # a request, or the rest of its head
BODY = 1  # the rest of a request's body
DISCARD = 2  # the rest of a body that its endpoint left unread
WRITING = 3  # the peer, to take what is to be sent
LINGER = 4  # the peer, to read the last answer and close
CLOSED = 5  # nothing
STATES = ("head", "body", "discard", "writing", "linger", "closed")
