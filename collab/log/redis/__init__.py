"""The order of many servers: a stream in Redis for each document, and the way to it."""
