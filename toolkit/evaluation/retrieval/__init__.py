"""Retrieval of equal poses across synchronized cameras, by the embeddings of a network."""
