"""The golden model in NumPy, and the simulators whose results are compared with it."""
