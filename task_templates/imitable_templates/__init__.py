"""What annotators see: templates, styles and instructions in plain words. Standard library only."""
