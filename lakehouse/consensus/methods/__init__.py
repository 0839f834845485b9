"""Methods of consensus: pure functions over arrays, one in each module; none knows a lake or an engine."""
