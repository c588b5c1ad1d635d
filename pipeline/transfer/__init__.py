"""Transfer: the record in and out, by import and export. Imports model, api, store, collect and query."""
