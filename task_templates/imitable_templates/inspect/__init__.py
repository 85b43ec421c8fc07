"""The runner's own pages of `imitable inspect`; they borrow words, shades and icon from the annotator's (`web`)."""
