"""The doctor: examines the installation. Imports monitoring, settings, api, audit and the rooms below.

A check is a function that yields findings; `checkup` lists them all, in the order in which they are printed.
"""
