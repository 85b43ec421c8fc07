"""Files that the pages load from our own origin: nothing else is ever fetched."""
