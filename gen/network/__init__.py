"""A float network and what it computes: layers, views, the graph, the forward pass, frames."""
