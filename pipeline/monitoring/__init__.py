"""Monitoring: what is wrong, and who is notified. Imports collect, query, settings and the rooms below.

A problem of `checks` becomes an alert of `alerts`, a text of `messages`, and a notification of `notify`, which waits in
an `outbox`; `reporter` drives them.
"""
