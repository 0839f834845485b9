"""Pages of HTML that need nothing else: no script, nothing from a network, everything from data as text."""
