"""From a model file to a core: networks, numbers, the plan, the output folder, the commands."""
