"""Archives and shards: files that hold files. They are read as streams and never unpacked to a disk."""
