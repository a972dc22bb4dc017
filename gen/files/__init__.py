"""Files on disk: checked when they are read, and written completely or not at all."""
