"""REST: the record as JSON, CSV and Parquet for programs, with its OpenAPI document. Imports web, query and below."""
