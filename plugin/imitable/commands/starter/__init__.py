"""What `imitable new` writes."""
