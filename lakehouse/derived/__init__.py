"""Derived entities: what is a part of others and stored nowhere, by an operation and its parameters.

`identity` names them, for whatever makes them; `places` says where their bytes come from; `reading` makes these.
"""
