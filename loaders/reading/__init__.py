"""From files to memory: row groups, pages, checksums, and which row groups are held."""
