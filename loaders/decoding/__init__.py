"""From stored values to arrays: pictures, crops, recordings, arrays of any shape."""
