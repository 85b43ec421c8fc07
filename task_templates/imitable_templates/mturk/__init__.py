"""What is uploaded by hand to MTurk-style sites: the page of a HIT, without answers."""
