"""Pages: the record in a browser, rendered on the server. Imports web, plot, query and the rooms below."""
