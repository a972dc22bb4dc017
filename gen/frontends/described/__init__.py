"""Bare weights (.safetensors, .npz) with a description of the network that they belong to."""
