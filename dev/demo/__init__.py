"""``python -m demo``: the whole product, seen at work on a real Kubernetes API on this machine.

``cluster`` chooses from where its Kubernetes is, ``story`` tells it step by step, ``installation`` starts and stops the
parts, ``people`` plays Entra's provisioning cycle, ``rotation`` rotates under load, ``sign_in`` changes the way to sign
in, ``hand_over`` has Entra get each credential by itself, ``sign_out`` has an application follow, ``search`` looks for
tokens where none may be.
"""
