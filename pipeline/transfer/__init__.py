"""Import and export: archives in; rows, documents and Parquet out. Imports model, api, store, collect and query."""
