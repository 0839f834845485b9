"""Comparing two versions of a dataset: what differs among their members, and why.

`members` says who is in, out, in another split or answered otherwise; `causes` what of recipe, code, tables and
opinions differs; `shift` how classes, dimensions and evaluations moved; `diff` is the verb.
"""
