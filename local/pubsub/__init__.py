"""Pub/Sub for the embedded stack: the real gRPC protocol over a store in one folder."""
