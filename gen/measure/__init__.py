"""What the integers compute, and how far that is from the float network."""
