"""Mutation testing: small faults are put into the code one at a time, and each has to make a test fail.

``mutations`` finds the faults in a file's syntax tree, ``targets`` says which files and which tests, ``trial``
runs the tests on one fault, and ``__main__`` is the command line. Why not mutmut: it knows ``src``, ``source`` and
the root as places of packages, so it takes ``operator/scim_operator`` for the package ``operator``, and it leaves
constants of modules alone, which hold the limits here.
"""
