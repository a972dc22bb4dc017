"""torch modules in memory: their forward runs on symbols that name elements."""
