"""Keras models: the .keras and .h5 files, and models in memory."""
