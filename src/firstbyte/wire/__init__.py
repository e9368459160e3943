"""Bytes to messages and back, without sockets, clocks or threads: bytes are fed in, requests and bytes come out."""
