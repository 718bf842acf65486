"""A fault campaign for the log of changes and those who follow it: nothing missed, in order, held up by nobody.

``rules`` decides, ``schedule`` chooses the faults, ``world`` runs the real processes and breaks them, ``late`` leaves
transactions open, ``writers`` write over HTTP, ``leaving`` has tenants purged, ``tables`` reads what is there, ``copy`` is what a follower keeps, ``follower`` keeps it, ``feed`` and ``sql`` are the ways to hear of
changes: another way is another ``Source``. By webhook it is ``pushed`` who hears, ``dispatchers`` deliver, and
``subscription`` puts both together: ``users_webhook`` is one of the tenant that all follow, ``webhook_side`` has one with a
tenant of its own. ``campaign`` puts them together. ``make torture-changes`` runs it.
"""
