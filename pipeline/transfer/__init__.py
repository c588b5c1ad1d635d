"""Import and export: archives of API responses in; rows, documents and Parquet files out. Imports model, api, store,
collect and query.
"""
