"""Files over HTTP: folders as sites."""
