"""Import and export: archives of API responses in; rows, documents and Parquet out.

A new export format goes to `formats` (text) or to a module like `parquet`, and to `pipeline export`'s list of formats.
Imports model, api, store, collect and query.
"""
