"""What annotators see inside Label Studio: the page as its labelling configuration, and the HTML of a task's parts."""
