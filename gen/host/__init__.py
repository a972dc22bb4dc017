"""What a processor's programs need to know of a core with ``--host axi``: its register map as C
header, SystemRDL, Python constants and documentation, and the values that identify a core."""
