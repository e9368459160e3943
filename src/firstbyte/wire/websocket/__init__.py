"""WebSocket (RFC 6455) with permessage-deflate (RFC 7692), without I/O: the same code for servers and clients."""
