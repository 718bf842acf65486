"""A fault campaign: Entra-like traffic while everything is killed, frozen and edited, and a judge.

``rules`` decides, ``schedule`` chooses the faults, ``world`` runs the real processes and breaks them,
``traffic`` sends the requests, ``campaign`` puts them together. ``make torture`` runs it. With hand-over ``hand_over``
plays Microsoft, ``wire`` sees what Entra sends, ``hand_over_rules`` and ``hand_over_judge`` judge it.
"""
