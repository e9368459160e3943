"""The vocabulary of HTTP: what a message is, whoever sends it and however it travels."""
