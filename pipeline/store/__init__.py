"""The store: the SQLite file, its schema, its one writer and all SQL that writes. Imports model."""
