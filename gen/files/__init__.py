"""Files on disk, read without trust and written whole or not at all."""
