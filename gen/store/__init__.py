"""The folder of a core: how a build writes it and how later commands read it back."""
