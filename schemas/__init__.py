"""What a table is: columns, types, units, null meaning, keys and constraints, defined once for every engine."""
