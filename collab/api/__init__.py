"""The HTTP side: the REST API, the pages, and what builds the server."""
