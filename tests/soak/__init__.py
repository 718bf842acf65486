"""A soak: the whole stack in real pods under Entra's traffic for hours, with rotations every minute, and what must stay flat.

``series`` judges, ``probes`` measures, ``traffic`` plays Entra and those who follow, ``run`` puts them together.
``make soak HOURS=1`` runs it.
"""
