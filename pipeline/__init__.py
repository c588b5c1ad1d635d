"""What companies looked like, and when it was known: Alpha Vantage overviews, kept in SQLite."""

__version__ = "0.1.0"
