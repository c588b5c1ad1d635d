"""Whether the fleet holds its promises while its parts die: real processes, a real PostgreSQL, a server that counts."""
