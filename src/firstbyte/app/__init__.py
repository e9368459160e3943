"""The framework: from a request to the function that answers it, without knowing how the request came."""
