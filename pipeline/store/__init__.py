"""The store: the SQLite file, its schema, its one writer and the SQL that writes. Imports model."""
