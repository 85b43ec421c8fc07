"""Label Studio: whole episodes with the answer after every guess, on a server of your own."""
