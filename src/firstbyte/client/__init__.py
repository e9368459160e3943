"""The HTTP client: sessions, and the parts that they are made of."""
