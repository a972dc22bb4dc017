"""What the host computes of a model that was cut: before the core, and behind it.

``parts`` runs both on a user's arrays; ``folder`` keeps them in an output folder.
"""
