"""Looking at a lake in a browser: a server on this machine alone, and folders of static files."""
