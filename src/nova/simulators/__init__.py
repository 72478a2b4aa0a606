"""Stand-ins for the providers of push and mail: their protocols and their errors, on this machine.

They share no code with the carriers, so that they cannot agree with their mistakes.
"""
